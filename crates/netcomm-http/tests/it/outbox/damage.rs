//! Files that are not what they were.

use std::collections::BTreeSet;

use netcomm_http::outbox::Outbox;

use super::{Dir, friendly, keep_all, outcomes};

const BODIES: [&str; 6] = ["call-1-body", "call-2-body", "call-3-body", "call-4-body", "call-5-body", "call-6-body"];

/// One record is damaged: the others are sent, in their order, and the one is told of.
#[tokio::test]
async fn a_damaged_call_is_moved_aside_and_told() {
    let house = friendly();
    let outbox = house.open().await;
    let calls = BODIES.map(|body| ("a", body));
    keep_all(&house, &outbox, &calls).await;
    outbox.close().await;
    let file = house.dir.path().join("outbox.redb");
    let mut bytes = std::fs::read(&file).expect("there");
    let damaged = BODIES[2].as_bytes();
    let places: Vec<_> = (0..bytes.len() - damaged.len()).filter(|at| bytes[*at..].starts_with(damaged)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 1;
    }
    std::fs::write(&file, bytes).expect("written");

    let outbox = house.open().await;
    let damage = outbox.damage();
    assert_eq!(damage.calls, 1);
    assert!(damage.file.is_some_and(|file| file.exists()));
    assert_eq!(outbox.len(), 5);
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    outbox.drained().await;
    assert_eq!(house.bodies(), [BODIES[0], BODIES[1], BODIES[3], BODIES[4], BODIES[5]]);
    outbox.close().await;
    let outbox = house.open().await;
    assert_eq!(outbox.damage(), Default::default(), "told once");
    outbox.close().await;
}

/// Whatever stands in the file: it opens or says why not, what is found is right, and what is kept then is kept.
#[tokio::test]
async fn any_damage_is_survived() {
    let house = friendly();
    let outbox = house.open().await;
    let calls = BODIES.map(|body| ("a", body));
    let known: BTreeSet<_> =
        keep_all(&house, &outbox, &calls).await.iter().map(|ticket| ticket.idempotency_key().to_owned()).collect();
    outbox.close().await;
    let sound = std::fs::read(house.dir.path().join("outbox.redb")).expect("there");
    let mut random = 7_u64;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize
    };
    let (mut whole, mut none, mut refused) = (0, 0, 0);
    for round in 0..60 {
        let other = Dir::new();
        std::fs::create_dir_all(other.path()).expect("made");
        let mut damaged = sound.clone();
        match round % 3 {
            0 => damaged.truncate(next() % sound.len()),
            1 => damaged[next() % sound.len()] ^= 1 << (next() % 8),
            _ => {
                let at = (0..).map(|_| next() % sound.len()).find(|at| sound[*at] != 0).unwrap_or(0);
                let end = sound.len().min(at + 16);
                damaged[at..end].fill(next() as u8);
            }
        }
        std::fs::write(other.path().join("outbox.redb"), damaged).expect("written");
        let outbox = match Outbox::open(&house.env, other.path()).await {
            Ok(outbox) => outbox,
            Err(error) => {
                // A file that claims to be of another version is not thrown away.
                assert!(other.path().join("outbox.redb").exists(), "{error}");
                refused += 1;
                continue;
            }
        };
        let found = outbox.list();
        for call in &found {
            assert!(known.contains(&*call.idempotency_key), "round {round}: {call:?}");
        }
        assert!(found.len() == BODIES.len() || outbox.damage() != Default::default(), "round {round}: not told");
        whole += u32::from(found.len() == BODIES.len());
        none += u32::from(found.is_empty());
        keep_all(&house, &outbox, &[("a", "after")]).await;
        outbox.close().await;
        let outbox = Outbox::open(&house.env, other.path()).await.expect("opens");
        assert_eq!(outbox.len(), found.len() + 1, "round {round}");
        outbox.close().await;
    }
    println!("of 60 damaged files {whole} were whole all the same, {none} empty, {refused} refused");
    assert!(refused < 10 && none < 40, "{refused} {none}");
}

/// Damage that shows only as the call is to be sent.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_changes_beneath_is_found_out() {
    use std::os::unix::fs::FileExt;
    let house = friendly();
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    // Larger than what the database keeps in memory.
    let big = |fill: u8| {
        let body = [&[b'#', fill, b'#'], &vec![fill; 900_000][..]].concat();
        house.client().post("http://a.example/").body(body).build().expect("a request")
    };
    let mut tickets = Vec::new();
    for fill in b'a'..=b'h' {
        tickets.push(outbox.keep(big(fill), Some("a")).await.expect("kept"));
    }
    let path = house.dir.path().join("outbox.redb");
    let bytes = std::fs::read(&path).expect("there");
    let file = std::fs::File::options().write(true).open(&path).expect("opens");
    for at in (0..bytes.len() - 3).filter(|at| &bytes[*at..*at + 3] == b"#a#") {
        file.write_all_at(b"?", at as u64).expect("written");
    }
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    let told = outcomes(&mut watch, 8).await;
    assert_eq!(told[0], (tickets[0].id(), "damaged".to_owned()));
    assert!(told[1..].iter().all(|(_, told)| told == "delivered 200"), "{told:?}");
    assert_eq!(outbox.damage().calls, 1);
    outbox.close().await;
}
