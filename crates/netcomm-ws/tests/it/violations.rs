//! Servers that break the rules: what the caller is told, and what the server is.

use netcomm_core::{ErrorKind, Result};
use netcomm_ws::{Closer, Limits, Message, Violation};
use tokio::io::AsyncWriteExt;

use crate::pair::{QUIET, Setup, frame, read_frame};

#[tokio::test(start_paused = true)]
async fn each_broken_rule_is_named_to_both_ends() -> Result<()> {
    let limited = Setup {
        client: |connect| {
            let limits = Limits::default().with_message_bytes(1000).with_frame_bytes(2000).with_empty_fragments(2);
            (QUIET.client)(connect).limits(limits)
        },
        ..QUIET
    };
    let cases: [(Vec<u8>, Violation, u16); 20] = [
        (vec![0xc1, 0], Violation::ReservedBits, 1002),
        (vec![0xa1], Violation::ReservedBits, 1002),
        (vec![0x83], Violation::Opcode(3), 1002),
        (vec![0x8b], Violation::Opcode(11), 1002),
        (vec![0x09, 0], Violation::FragmentedControl, 1002),
        (vec![0x89, 126], Violation::LongControl, 1002),
        (vec![0x82, 126, 0, 5], Violation::Length, 1002),
        (vec![0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Violation::Length, 1002),
        (vec![0x81, 0x81, 0, 0, 0, 0, b'a'], Violation::Masked, 1002),
        (vec![0x80, 0], Violation::StrayContinuation, 1002),
        (vec![0x01, 0, 0x81, 0], Violation::Interleaved, 1002),
        (frame(0x88, b"\x03"), Violation::CloseLength, 1002),
        (frame(0x88, b"\x03\xed"), Violation::CloseCode(1005), 1002),
        (frame(0x88, b"\x03\xe8\xff"), Violation::Utf8, 1007),
        (frame(0x81, b"\xc0"), Violation::Utf8, 1007),
        (frame(0x81, "é".as_bytes()[..1].as_ref()), Violation::Utf8, 1007),
        // Told with the byte that shows it, though more is to come.
        (vec![0x81, 10, b'a', 0xff], Violation::Utf8, 1007),
        (vec![0x82, 126, 3, 0xe9], Violation::MessageTooLarge(1000), 1009),
        (vec![0x82, 126, 7, 0xd1], Violation::FrameTooLarge(2000), 1009),
        (vec![0x01, 0, 0, 0, 0, 0], Violation::EmptyFragments(2), 1008),
    ];
    for (bytes, violation, code) in cases {
        let (mut client, mut far, _) = limited.open_raw().await;
        let mut wire = frame(0x81, b"good");
        wire.extend(&bytes);
        far.write_all(&wire).await.expect("written");
        assert_eq!(client.recv().await?, Some(Message::text("good")));
        let (error, goodbye) = tokio::join!(client.recv(), async {
            let goodbye = read_frame(&mut far).await;
            drop(far);
            goodbye
        });
        let error = error.expect_err("a broken rule");
        let kind = if matches!(code, 1008 | 1009) { ErrorKind::TooLarge } else { ErrorKind::Protocol };
        assert_eq!(error.kind(), kind, "{violation}");
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&violation));
        assert_eq!(goodbye, Some((0x88, code.to_be_bytes().to_vec())), "{violation}");
        let closed = client.closed().expect("ended");
        assert_eq!((closed.by, closed.code.get(), closed.clean), (Closer::Us, code, false));
        assert_eq!(client.recv().await?, None);
    }
    Ok(())
}
