//! What a socket holds while nothing happens.

use allocation_counter::measure;
use netcomm_core::Result;
use netcomm_ws::{Message, Socket};

use crate::pair::{QUIET, Setup};

async fn echoed(client: &mut Socket, server: &mut Socket, size: usize) -> Result<()> {
    let message = Message::from((0..size).map(|at| (at * 31 % 251) as u8).collect::<Vec<_>>());
    let (sent, received) = tokio::join!(
        async {
            client.send(message.clone()).await?;
            client.recv().await
        },
        async {
            let message = server.recv().await?.expect("a message");
            server.send(message).await
        }
    );
    received?;
    assert_eq!(sent?, Some(message));
    Ok(())
}

/// Bytes that a client gives back when it is dropped after such an echo; its wire stays with the server.
fn held(setup: &Setup, sizes: &[usize]) -> i64 {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("starts");
    let (mut client, mut server, _wire) = runtime.block_on(setup.open());
    for size in sizes {
        runtime.block_on(echoed(&mut client, &mut server, *size)).expect("echoed");
    }
    let memory = measure(|| drop(client));
    drop(server);
    -memory.bytes_current
}

#[test]
fn an_idle_socket_gives_its_buffers_back() {
    for setup in [QUIET, Setup { client: |connect| connect.deflate(None), ..QUIET }] {
        let fresh = held(&setup, &[]);
        assert!(fresh < 4500, "{fresh}, of which 4056 when this was written");
        for sizes in [&[64][..], &[16 * 1024], &[1 << 20], &[1 << 20, 64], &[300, 500, 600, 64]] {
            let used = held(&setup, sizes);
            // Room for a small message, for a few items, and a timer: 382 bytes when this was written.
            assert!((0..600).contains(&(used - fresh)), "{sizes:?}: {used} after, {fresh} before");
        }
    }
}
