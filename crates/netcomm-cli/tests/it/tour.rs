//! The tour: every promise is kept.

use crate::stage::netcomm;

#[tokio::test]
async fn every_promise_is_kept() {
    let tour = netcomm("tour --json").await.expect_code(0).json();
    let scenes = tour["scenes"].as_array().expect("scenes");
    assert!(scenes.len() >= 17, "{tour}");
    for scene in scenes {
        assert_eq!(scene["kept"], true, "{scene}");
    }
    assert_eq!((tour["kept"].as_u64(), tour["broken"].as_u64()), (Some(scenes.len() as u64), Some(0)));
}

#[tokio::test]
async fn one_scene_is_told_with_its_table() {
    for scene in ["1", "reuse"] {
        let ended = netcomm(&format!("tour --scene {scene}")).await.expect_code(0);
        let text = ended.text();
        assert!(text.starts_with(" 1. A plain call, and the connection again\n    origin   answers"), "{text}");
        assert!(text.contains("    kept     10 calls over 1 connection"), "{text}");
        assert!(text.contains("\n1 of 1 promises kept in "), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }
    let ended = netcomm("tour --scene nosuch").await.expect_code(2);
    assert!(ended.stderr.contains("none of 1 to"), "{}", ended.stderr);
}

#[tokio::test]
async fn all_that_uses_a_network_comes_back_with_it() {
    let ended = netcomm("tour --scene network").await.expect_code(0);
    let text = ended.text();
    assert!(text.contains("and nothing was tried meanwhile"), "{text}");
    for name in ["call that waited ", "call that was cut ", "call kept on disk ", "WebSocket ", "event stream "] {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        assert!(line.is_some_and(|line| line.contains(" ms")), "{name:?} in {text}");
    }
}
