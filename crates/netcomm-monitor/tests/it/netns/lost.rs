//! Word that the kernel could not keep, and futures that are dropped.

use std::fmt::Write;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use netcomm_monitor::{LinuxPaths, PathSource, PathState, system_paths};
use netcomm_tests::{in_namespace, ip};

use super::cables;
use super::watch::{has, link};

fn block<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime").block_on(story)
}

async fn next(paths: &mut LinuxPaths) -> PathState {
    paths.next().await.expect("the kernel tells")
}

#[test]
fn more_than_the_kernel_keeps() {
    in_namespace(|| {
        cables();
        block(async {
            let mut paths = LinuxPaths::new();
            next(&mut paths).await;
            let mut flood = String::new();
            for third in 0..16 {
                for fourth in 1..=250 {
                    writeln!(flood, "addr add 10.1.{third}.{fourth}/16 dev q0").expect("a line");
                }
            }
            ip(&flood);
            // What came last was surely not kept, and nothing comes after it.
            let mut states = 1;
            while !has(&next(&mut paths).await, "q0", "10.1.15.250") {
                states += 1;
            }
            println!("{states} states for 4,000 addresses");
            assert!(states < 4000, "nothing was lost, so this has shown nothing");
            let now = next_fresh().await;
            ip("link set lo mtu 20000");
            let mut last = next(&mut paths).await;
            while link(&last, "lo").mtu_bytes != 20_000 {
                last = next(&mut paths).await;
            }
            assert_eq!(link(&last, "q0").addresses, link(&now, "q0").addresses);
            assert_eq!(link(&now, "q0").addresses.iter().filter(|address| address.ip.is_ipv4()).count(), 4001);
        });
    });
}

async fn next_fresh() -> PathState {
    next(&mut LinuxPaths::new()).await
}

#[test]
fn a_dropped_future_takes_nothing_along() {
    in_namespace(|| {
        cables();
        block(async {
            let mut paths = system_paths().expect("a source for Linux");
            // Dropped in the middle of the first lists, again and again.
            for _ in 0..3 {
                let polled = pin!(paths.next()).poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending(), "nothing can be read within one turn");
            }
            let first = paths.next().await.expect("the kernel tells");
            assert!(first.is_connected());
            assert!(pin!(paths.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            ip("addr add 10.0.0.9/24 dev p0");
            drop(pin!(paths.next()).poll(&mut Context::from_waker(Waker::noop())));
            let mut paths_now = first;
            while !has(&paths_now, "p0", "10.0.0.9") {
                paths_now = paths.next().await.expect("the kernel tells");
            }
        });
    });
}

#[test]
fn outside_of_a_runtime_it_fails() {
    let mut paths = LinuxPaths::new();
    let std::task::Poll::Ready(Err(error)) = pin!(paths.next()).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it cannot wait here");
    };
    assert_eq!(error.kind(), netcomm_core::ErrorKind::Io);
}
