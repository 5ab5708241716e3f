//! Several connections as one.

use std::collections::BTreeMap;
use std::time::Duration;

use netcomm_core::{Env, ErrorKind, Result};
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{
    AcceptOptions, CloseCode, Cluster, Delivery, Dropped, Listening, Member, Outbound, Socket, Status, Strategy,
    Subscription,
};
use tokio::sync::watch;

/// Servers by name: `one.test`, `two.test`, …; each says its name before whatever it echoes, and can be taken down.
struct Farm {
    env: Env,
    down: watch::Sender<Vec<String>>,
}

impl Farm {
    fn new() -> Self {
        let dialer = ScriptedDialer::new();
        let env = Env::new(dialer.clone(), TokioClock::new());
        let (down, _) = watch::channel(Vec::new());
        let (options, doors) = (AcceptOptions::new(&env), down.clone());
        dialer.with_all(move |target| {
            let (options, mut doors) = (options.clone(), doors.subscribe());
            async move {
                let name = target.to_string().split('.').next().expect("a name").to_owned();
                if doors.borrow_and_update().contains(&name) {
                    return Err(netcomm_core::Error::new(ErrorKind::Connect, "dial"));
                }
                let (near, far) = tokio::io::duplex(64 * 1024);
                drop(tokio::spawn(async move {
                    let mut socket = Socket::accept(far, &options).await.expect("a handshake");
                    loop {
                        tokio::select! {
                            () = async { drop(doors.wait_for(|down| down.contains(&name)).await) } => return,
                            message = socket.recv() => match message {
                                Ok(Some(message)) => {
                                    let text = message.as_text().expect("text").to_owned();
                                    if socket.send(format!("{name}:{text}")).await.is_err() {
                                        return;
                                    }
                                }
                                _ => return,
                            },
                        }
                    }
                }));
                Ok(netcomm_core::Io::new(near, netcomm_core::ConnectInfo::default()))
            }
        });
        Self { env, down }
    }

    fn cluster(&self, names: &[&str]) -> netcomm_ws::ClusterBuilder {
        names.iter().zip(0..).fold(Cluster::builder(&self.env), |cluster, (name, priority)| {
            cluster.member(Member::new(format!("ws://{name}.test/")).name(*name).priority(priority))
        })
    }

    fn down(&self, names: &[&str]) {
        self.down.send_replace(names.iter().map(|name| (*name).to_owned()).collect());
    }
}

async fn all_ready(cluster: &Cluster, count: usize) {
    while cluster.snapshot().ready != count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn next(messages: &mut Subscription<Delivery>) -> String {
    let delivery = messages.next().await.expect("open").expect("no lag");
    let text = delivery.message.as_text().expect("text").to_owned();
    assert!(text.starts_with(delivery.member.expect("of a member").as_str()));
    text
}

#[tokio::test(start_paused = true)]
async fn messages_go_round() -> Result<()> {
    let farm = Farm::new();
    let (cluster, mut messages) = farm.cluster(&["one", "two", "three"]).open()?;
    all_ready(&cluster, 3).await;
    let mut counts = BTreeMap::new();
    for number in 0..30 {
        cluster.send(number.to_string()).await?;
        let (name, _) =
            next(&mut messages).await.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two");
        *counts.entry(name).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10]);
    cluster.close(CloseCode::NORMAL, "done").await?;
    assert!(messages.next().await.is_none());
    assert!(cluster.send("late").await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_better_member_is_taken_again_after_it_has_cooled_down() -> Result<()> {
    let farm = Farm::new();
    let (cluster, mut messages) = farm.cluster(&["best", "spare"]).strategy(Strategy::Failover).open()?;
    all_ready(&cluster, 2).await;
    let mut ask = async || {
        cluster.send("x").await.expect("taken");
        next(&mut messages).await
    };
    assert_eq!(ask().await, "best:x");
    farm.down(&["best"]);
    all_ready(&cluster, 1).await;
    assert_eq!(ask().await, "spare:x");
    farm.down(&[]);
    all_ready(&cluster, 2).await;
    assert_eq!(ask().await, "spare:x", "it has failed just now");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(ask().await, "best:x");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn keys_stay_where_they_are_and_come_back() -> Result<()> {
    let farm = Farm::new();
    let (cluster, mut messages) = farm.cluster(&["a", "b", "c"]).strategy(Strategy::Sticky).open()?;
    all_ready(&cluster, 3).await;
    let mut places = async || {
        let mut places = Vec::new();
        for key in 0_u32..20 {
            cluster.send_for(key.to_be_bytes(), "k").await.expect("taken");
            places.push(next(&mut messages).await);
        }
        places
    };
    let before = places().await;
    assert_eq!(places().await, before);
    farm.down(&["b"]);
    all_ready(&cluster, 2).await;
    for (now, then) in places().await.iter().zip(&before) {
        assert!(now == then || (then == "b:k" && now != "b:k"));
    }
    farm.down(&[]);
    all_ready(&cluster, 3).await;
    assert_eq!(places().await, before);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_waits_moves_to_who_is_ready_and_its_receipt_goes_along() -> Result<()> {
    let farm = Farm::new();
    farm.down(&["one", "two"]);
    let (cluster, mut messages) = farm.cluster(&["one", "two"]).open()?;
    let mut receipts = Vec::new();
    for number in 0..4 {
        receipts.push(cluster.send(Outbound::new(number.to_string())).await?);
    }
    assert!(receipts.pop().expect("four").cancel());
    farm.down(&["one"]);
    for receipt in &mut receipts {
        assert_eq!(receipt.written().await, Status::Written);
        assert!(next(&mut messages).await.starts_with("two:"));
    }
    assert_eq!(cluster.snapshot().queued, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn topics_are_spread_and_move_on_loss() -> Result<()> {
    let farm = Farm::new();
    let (cluster, _messages) = farm.cluster(&["one", "two", "three"]).open()?;
    all_ready(&cluster, 3).await;
    let topics: Vec<_> = (0..30).map(|topic| format!("topic {topic}")).collect();
    let listeners: Vec<_> =
        topics.iter().map(|topic| cluster.subscribe(topic.as_str(), Listening::default())).collect();
    let kept = || cluster.snapshot().members.iter().map(|member| member.topics.len()).collect::<Vec<_>>();
    let before = kept();
    assert!(before.iter().all(|count| *count > 3) && before.iter().sum::<usize>() == 30, "{before:?}");
    farm.down(&["two"]);
    all_ready(&cluster, 2).await;
    let after = kept();
    assert!(after[1] == 0 && after[0] >= before[0] && after[2] >= before[2], "{after:?}");
    assert_eq!(after.iter().sum::<usize>(), 30);
    farm.down(&[]);
    all_ready(&cluster, 3).await;
    assert_eq!(kept(), before);
    drop(listeners);
    assert_eq!(kept(), [0, 0, 0]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_closed_for_good_is_no_end_of_the_cluster() -> Result<()> {
    let farm = Farm::new();
    let (cluster, mut messages) = farm.cluster(&["one", "two"]).open()?;
    all_ready(&cluster, 2).await;
    let one = cluster.member("one").expect("a member");
    one.close(CloseCode::NORMAL, "").await?;
    assert!(one.send("x").await.is_err_and(|rejected| rejected.why == Dropped::Closed));
    for _ in 0..3 {
        cluster.send("x").await?;
        assert_eq!(next(&mut messages).await, "two:x");
    }
    assert_eq!(cluster.snapshot().closed, 1);
    Ok(())
}

#[tokio::test]
async fn what_is_no_cluster_is_refused() {
    let farm = Farm::new();
    let kind = |builder: netcomm_ws::ClusterBuilder| builder.open().expect_err("no cluster").kind();
    assert_eq!(kind(farm.cluster(&[])), ErrorKind::Invalid);
    assert_eq!(kind(farm.cluster(&["a", "a"])), ErrorKind::Invalid);
    assert_eq!(kind(farm.cluster(&["a"]).member(Member::new("ftp://x.test/"))), ErrorKind::Invalid);
    let (cluster, _messages) = farm
        .cluster(&[])
        .member(Member::new("ws://x.test/"))
        .member(Member::new("ws://x.test/"))
        .open()
        .expect("numbered");
    let names: Vec<_> = cluster.snapshot().members.into_iter().map(|member| member.name.to_string()).collect();
    assert_eq!(names, ["ws://x.test/", "ws://x.test/#2"]);
}
