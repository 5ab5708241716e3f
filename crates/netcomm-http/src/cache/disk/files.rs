//! Bodies in files.
//!
//! A file is a header of 24 bytes and the body in blocks of 64 KiB, the last one shorter, each with a checksum of four
//! bytes after it. Header: `ncblob`, version, line feed; the blob's number; the body's length. The checksum is CRC-32
//! over the blob's number, the block's number and the block, so that no sound block passes for another one. A file
//! that is complete has its last name and is never written again.

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::{fmt, mem};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, ErrorKind, Result};
use tokio::task::{JoinHandle, spawn_blocking};

use super::bodies::MAX_BODY_BYTES;
use super::shared::{Command, Shared};
use crate::cache::blob::{Blob, Opening, ReadBlob};
use crate::cache::store::WriteBlob;

const MAGIC: [u8; 8] = *b"ncblob\x01\n";
const HEADER_BYTES: u64 = 24;
pub(super) const BLOCK_BYTES: usize = 64 * 1024;
const SUM_BYTES: usize = 4;
/// Blocks read or written in one go on a blocking thread.
const BATCH_BLOCKS: usize = 4;
// A body that is kept in memory is read in one go.
const _: () = assert!(MAX_BODY_BYTES == (BATCH_BLOCKS * BLOCK_BYTES) as u64);
/// Bodies up to this size stand in the index, beside their heads.
const INLINE_BYTES: usize = 16 * 1024;

/// Written, but no entry refers to it yet.
const NEW: u8 = 0;
const PLACED: u8 = 1;
/// No entry refers to it any more.
const RELEASED: u8 = 2;

/// The bytes of the file of a body of that length.
pub(super) fn file_bytes(length: u64) -> u64 {
    HEADER_BYTES + length + length.div_ceil(BLOCK_BYTES as u64) * SUM_BYTES as u64
}

fn sum(id: u64, block: u64, data: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(&block.to_le_bytes());
    hasher.update(data);
    hasher.finalize().to_le_bytes()
}

fn header(id: u64, length: u64) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&id.to_le_bytes());
    header[16..].copy_from_slice(&length.to_le_bytes());
    header
}

/// A body in a file. The file goes with the last of these and the last entry that refers to it.
pub(super) struct DiskBlob {
    shared: Weak<Shared>,
    id: u64,
    length: u64,
    state: AtomicU8,
    /// Found damaged or gone: not tried again.
    is_broken: AtomicBool,
}

impl DiskBlob {
    fn new(shared: &Arc<Shared>, id: u64, length: u64, state: u8) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::downgrade(shared),
            id,
            length,
            state: AtomicU8::new(state),
            is_broken: AtomicBool::new(false),
        })
    }

    /// One that the index knows.
    pub(super) fn known(shared: &Arc<Shared>, id: u64, length: u64) -> Arc<Self> {
        Self::new(shared, id, length, PLACED)
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// An entry refers to it.
    pub(super) fn place(&self) {
        if self.state.swap(PLACED, Ordering::AcqRel) == NEW
            && let Some(shared) = self.shared.upgrade()
        {
            shared.discharge(file_bytes(self.length));
        }
    }

    /// No entry refers to it: the file goes as soon as nobody reads it.
    pub(super) fn release(&self) {
        self.state.store(RELEASED, Ordering::Release);
    }

    fn broken(&self, detail: &'static str) -> Error {
        if !self.is_broken.swap(true, Ordering::AcqRel)
            && let Some(shared) = self.shared.upgrade()
        {
            shared.bodies.remove(self.id);
            shared.send(Command::Broken { id: self.id });
        }
        Error::new(ErrorKind::Io, "read cached body").with_detail(detail)
    }

    /// Whether an entry refers to it, and nothing speaks against it.
    fn is_current(&self) -> bool {
        self.state.load(Ordering::Acquire) == PLACED && !self.is_broken.load(Ordering::Acquire)
    }

    /// Reads the whole of it, and keeps that in memory.
    fn read_whole(self: Arc<Self>) -> Result<Bytes> {
        let length = self.length;
        let body = Cursor::open(Arc::clone(&self), 0..length)?.read()?;
        if let Some(shared) = self.shared.upgrade() {
            shared.bodies.keep(self.id, &body, || self.is_current());
        }
        Ok(body)
    }
}

impl Drop for DiskBlob {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let state = *self.state.get_mut();
        shared.unregister(self.id);
        if state == NEW {
            shared.discharge(file_bytes(self.length));
        }
        if state != PLACED {
            shared.send(Command::Delete { id: self.id });
        }
    }
}

impl ReadBlob for DiskBlob {
    fn id(&self) -> u64 {
        self.id
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn at_hand(&self, part: &Range<u64>) -> Option<Bytes> {
        if self.length > MAX_BODY_BYTES {
            return None;
        }
        let body = self.shared.upgrade()?.bodies.get(self.id)?;
        let (start, end) = (usize::try_from(part.start).ok()?, usize::try_from(part.end).ok()?);
        (start <= end && end <= body.len()).then(|| body.slice(start..end))
    }

    fn open(self: Arc<Self>, range: Range<u64>) -> Opening {
        Box::pin(async move {
            if range.start > range.end || range.end > self.length {
                return Err(Error::new(ErrorKind::Invalid, "read cached body").with_detail("a range beyond its end"));
            }
            if let Some(part) = self.at_hand(&range) {
                return Ok(part.into());
            }
            if self.shared.upgrade().is_some_and(|shared| shared.bodies.takes(self.length)) {
                let body = off_thread(move || self.read_whole()).await??;
                // The range is within its length, and that is within memory.
                return Ok(body.slice(range.start as usize..range.end as usize).into());
            }
            let left = range.end - range.start;
            let (cursor, batch) = off_thread(move || {
                let mut cursor = Cursor::open(self, range)?;
                let batch = cursor.read()?;
                Ok((cursor, batch))
            })
            .await??;
            if cursor.range.is_empty() {
                return Ok(batch.into());
            }
            Ok(Body::boxed(Box::pin(Reading { batch, next: Next::Idle(cursor), left })))
        })
    }
}

impl fmt::Debug for DiskBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskBlob").field("id", &self.id).field("length", &self.length).finish_non_exhaustive()
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| Error::new(ErrorKind::Canceled, "read cached body").with_source(error))
}

/// An open file, and what is still to be read.
struct Cursor {
    file: File,
    blob: Arc<DiskBlob>,
    range: Range<u64>,
    /// The block before which the file stands.
    at: Option<u64>,
}

impl Cursor {
    fn open(blob: Arc<DiskBlob>, range: Range<u64>) -> Result<Self> {
        if blob.is_broken.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Io, "read cached body").with_detail("the file is damaged"));
        }
        let Some(shared) = blob.shared.upgrade() else {
            return Err(Error::new(ErrorKind::Canceled, "read cached body").with_detail("the cache is closed"));
        };
        let mut file = match File::open(shared.blob_path(blob.id)) {
            Ok(file) => file,
            // A crowd of open files says nothing about this one.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::Io, "read cached body").with_source(error));
            }
            Err(_) => return Err(blob.broken("the file is gone")),
        };
        let mut found = [0; HEADER_BYTES as usize];
        let is_sound = file.metadata().is_ok_and(|metadata| metadata.len() == file_bytes(blob.length))
            && file.read_exact(&mut found).is_ok()
            && found == header(blob.id, blob.length);
        if !is_sound {
            return Err(blob.broken("the file is damaged"));
        }
        Ok(Self { file, blob, range, at: Some(0) })
    }

    /// The next blocks, as far as they are asked for, in one piece; checked.
    fn read(&mut self) -> Result<Bytes> {
        if self.range.is_empty() {
            return Ok(Bytes::new());
        }
        let first = self.range.start / BLOCK_BYTES as u64;
        let blocks = (self.range.end.div_ceil(BLOCK_BYTES as u64) - first).min(BATCH_BLOCKS as u64);
        let from = first * BLOCK_BYTES as u64;
        let until = self.blob.length.min((first + blocks) * BLOCK_BYTES as u64);
        let mut data = vec![0; (until - from) as usize];
        let mut sums = [[0; SUM_BYTES]; BATCH_BLOCKS];
        if self.at != Some(first) {
            self.file
                .seek(SeekFrom::Start(HEADER_BYTES + first * (BLOCK_BYTES + SUM_BYTES) as u64))
                .map_err(|_| self.blob.broken("cannot seek"))?;
        }
        // The checksums go elsewhere, so that the body lies in one piece without being moved.
        let mut places: Vec<IoSliceMut<'_>> = (data.chunks_mut(BLOCK_BYTES).zip(&mut sums))
            .flat_map(|(block, sum)| [IoSliceMut::new(block), IoSliceMut::new(sum)])
            .collect();
        fill(&mut self.file, &mut places).map_err(|_| self.blob.broken("the file ends early"))?;
        self.at = Some(first + blocks);
        for (number, (block, stored)) in (first..).zip(data.chunks(BLOCK_BYTES).zip(&sums)) {
            if sum(self.blob.id, number, block) != *stored {
                return Err(self.blob.broken("a block is damaged"));
            }
        }
        let wanted = self.range.start - from..self.range.end.min(until) - from;
        self.range.start = from + wanted.end;
        Ok(Bytes::from(data).slice(wanted.start as usize..wanted.end as usize))
    }
}

/// Fills all of these places, one after the other.
fn fill(file: &mut impl Read, mut places: &mut [IoSliceMut<'_>]) -> io::Result<()> {
    while !places.is_empty() {
        match file.read_vectored(places) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => IoSliceMut::advance_slices(&mut places, read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A body being read: a batch of blocks at hand, and the next one on its way. Holds at most eight blocks.
struct Reading {
    batch: Bytes,
    next: Next,
    left: u64,
}

enum Next {
    Idle(Cursor),
    Running(JoinHandle<(Cursor, Result<Bytes>)>),
    Ended,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if matches!(&this.next, Next::Idle(cursor) if !cursor.range.is_empty())
            && let Next::Idle(mut cursor) = mem::replace(&mut this.next, Next::Ended)
        {
            this.next = Next::Running(spawn_blocking(move || {
                let batch = cursor.read();
                (cursor, batch)
            }));
        }
        if this.batch.is_empty()
            && let Next::Running(job) = &mut this.next
        {
            let (cursor, batch) = match ready!(Pin::new(job).poll(cx)) {
                Ok((cursor, batch)) => (Some(cursor), batch),
                Err(error) => (None, Err(Error::new(ErrorKind::Canceled, "read cached body").with_source(error))),
            };
            this.next = Next::Ended;
            match (cursor, batch) {
                (Some(cursor), Ok(batch)) => {
                    this.batch = batch;
                    this.next = Next::Idle(cursor);
                }
                (_, Err(error)) => return Poll::Ready(Some(Err(error))),
                (None, Ok(_)) => {}
            }
        }
        if this.batch.is_empty() {
            return Poll::Ready(None);
        }
        this.left -= this.batch.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(mem::take(&mut this.batch)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body on its way to disk: one batch fills while another one is written, so that it holds two at most, and a chunk.
pub(super) struct Writer {
    shared: Arc<Shared>,
    max_bytes: u64,
    taken: u64,
    buffer: Vec<u8>,
    state: State,
}

enum State {
    /// So far it may be small enough for the index.
    Small,
    /// Too large, and the directory is not open yet.
    Opening(Pin<Box<dyn Future<Output = bool> + Send>>),
    Idle(Part),
    Running(JoinHandle<io::Result<Part>>),
    Finishing(JoinHandle<io::Result<Part>>),
    GivenUp,
}

/// A file that is no blob yet. Dropped, it is deleted.
struct Part {
    shared: Arc<Shared>,
    file: Option<File>,
    path: PathBuf,
    id: u64,
    blocks: u64,
    length: u64,
    /// It has become a blob.
    is_taken: bool,
}

impl Part {
    fn new(shared: Arc<Shared>) -> Self {
        let id = shared.next_blob();
        let path = shared.part_path(id);
        Self { shared, file: None, path, id, blocks: 0, length: 0, is_taken: false }
    }

    /// Writes blocks; all but the last call give whole ones.
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = File::create_new(&self.path)?;
                file.write_all(&[0; HEADER_BYTES as usize])?;
                self.file.insert(file)
            }
        };
        let mut out = Vec::with_capacity(data.len() + data.len().div_ceil(BLOCK_BYTES) * SUM_BYTES);
        for block in data.chunks(BLOCK_BYTES) {
            out.extend_from_slice(block);
            out.extend_from_slice(&sum(self.id, self.blocks, block));
            self.blocks += 1;
        }
        file.write_all(&out)?;
        self.length += data.len() as u64;
        Ok(())
    }

    /// Gives the file its name.
    fn complete(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Err(io::ErrorKind::InvalidInput.into()) };
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header(self.id, self.length))?;
        drop(file);
        let path = self.shared.blob_path(self.id);
        if std::fs::rename(&self.path, &path).is_err() {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(&self.path, &path)?;
        }
        self.path = path;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        // Perhaps on a thread that must not block, and complete although nobody waits for it any more.
        self.file = None;
        self.shared.send(Command::DeletePart { path: mem::take(&mut self.path) });
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, max_bytes: u64) -> Self {
        Self { shared, max_bytes, taken: 0, buffer: Vec::new(), state: State::Small }
    }

    fn give_up(&mut self) {
        self.state = State::GivenUp;
        self.buffer = Vec::new();
        self.shared.discharge(mem::take(&mut self.taken));
    }

    /// Moves on as far as it can without waiting; `true` if a batch was taken out of the buffer or there is none.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::Small if self.buffer.len() <= INLINE_BYTES => return Poll::Ready(()),
                State::Small => {
                    let shared = Arc::clone(&self.shared);
                    self.state = State::Opening(Box::pin(async move { shared.opened().await }));
                }
                State::Opening(opened) => match ready!(opened.as_mut().poll(cx)) {
                    true => self.state = State::Idle(Part::new(Arc::clone(&self.shared))),
                    false => self.give_up(),
                },
                State::Idle(_) if self.buffer.len() < BATCH_BLOCKS * BLOCK_BYTES => return Poll::Ready(()),
                State::Idle(_) => {
                    let State::Idle(mut part) = mem::replace(&mut self.state, State::GivenUp) else { continue };
                    let whole = self.buffer.len() / BLOCK_BYTES * BLOCK_BYTES;
                    let rest = self.buffer.split_off(whole);
                    let data = mem::replace(&mut self.buffer, rest);
                    self.state = State::Running(spawn_blocking(move || part.write(&data).map(|()| part)));
                }
                State::Running(job) => match Pin::new(job).poll(cx) {
                    Poll::Ready(Ok(Ok(part))) => self.state = State::Idle(part),
                    Poll::Ready(_) => {
                        self.shared.note_failure();
                        self.give_up();
                    }
                    // While one is being written the next may fill.
                    Poll::Pending if self.buffer.len() < BATCH_BLOCKS * BLOCK_BYTES => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                },
                State::Finishing(_) | State::GivenUp => return Poll::Ready(()),
            }
        }
    }
}

impl WriteBlob for Writer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        ready!(self.poll_batch(cx));
        Poll::Ready(!matches!(self.state, State::GivenUp))
    }

    fn write(&mut self, bytes: Bytes) {
        if matches!(self.state, State::GivenUp) {
            return;
        }
        let more = bytes.len() as u64;
        if self.taken + more > self.max_bytes || !self.shared.charge(more) {
            return self.give_up();
        }
        self.taken += more;
        self.buffer.extend_from_slice(&bytes);
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Option<Blob>> {
        loop {
            if !matches!(self.state, State::Finishing(_)) {
                ready!(self.poll_batch(cx));
            }
            match &mut self.state {
                State::Small => {
                    let bytes = mem::take(&mut self.buffer).into_boxed_slice();
                    self.give_up();
                    return Poll::Ready(Some(Blob::memory(bytes.into())));
                }
                State::Running(job) => match ready!(Pin::new(job).poll(cx)) {
                    Ok(Ok(part)) => self.state = State::Idle(part),
                    _ => {
                        self.shared.note_failure();
                        self.give_up();
                    }
                },
                State::Idle(_) => {
                    let State::Idle(mut part) = mem::replace(&mut self.state, State::GivenUp) else { continue };
                    let data = mem::take(&mut self.buffer);
                    self.state = State::Finishing(spawn_blocking(move || {
                        if !data.is_empty() {
                            part.write(&data)?;
                        }
                        part.complete().map(|()| part)
                    }));
                }
                State::Finishing(job) => {
                    let finished = ready!(Pin::new(job).poll(cx));
                    self.state = State::GivenUp;
                    let Ok(Ok(mut part)) = finished else {
                        self.shared.note_failure();
                        self.give_up();
                        return Poll::Ready(None);
                    };
                    part.is_taken = true;
                    let blob = DiskBlob::new(&self.shared, part.id, part.length, NEW);
                    self.shared.register(&blob);
                    // From here on the blob counts, its file with all.
                    self.shared.recharge(mem::take(&mut self.taken), file_bytes(part.length));
                    return Poll::Ready(Some(Blob::stored(blob)));
                }
                State::Opening(_) => {}
                State::GivenUp => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.discharge(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::Bounds;
    use super::*;

    const ID: u64 = 7 << 32;

    /// A file of such a body, and what reads it. Nobody carries out commands here.
    fn file(name: &str, body: &[u8]) -> (Arc<Shared>, PathBuf) {
        let dir = std::env::temp_dir().join(format!("netcomm-files-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        let bounds = Bounds { all: 1 << 30, body: 1 << 30, heads: 0, hot: 1 << 20, memory: 0 };
        let (shared, _) = Shared::new(dir.clone(), bounds);
        std::fs::create_dir_all(dir.join("parts")).expect("made");
        let path = shared.part_path(ID);
        let mut part =
            Part { shared: Arc::clone(&shared), file: None, path, id: ID, blocks: 0, length: 0, is_taken: true };
        for batch in body.chunks(BATCH_BLOCKS * BLOCK_BYTES) {
            part.write(batch).expect("written");
        }
        part.complete().expect("named");
        assert_eq!(std::fs::metadata(shared.blob_path(ID)).expect("there").len(), file_bytes(body.len() as u64));
        (shared, dir)
    }

    fn read(shared: &Arc<Shared>, length: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let mut cursor = Cursor::open(DiskBlob::known(shared, ID, length as u64), range)?;
        let mut all = Vec::new();
        while !cursor.range.is_empty() {
            all.extend_from_slice(&cursor.read()?);
        }
        Ok(all)
    }

    fn body(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    #[test]
    fn ranges() {
        let body = body(5 * BLOCK_BYTES + 100);
        let (shared, dir) = file("ranges", &body);
        let edges = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 4 * BLOCK_BYTES, 5 * BLOCK_BYTES, body.len()];
        for (from, until) in edges.iter().flat_map(|from| edges.iter().map(move |until| (*from, *until))) {
            if from <= until {
                let found = read(&shared, body.len(), from as u64..until as u64).expect("reads");
                assert!(found == body[from..until], "{from}..{until}");
            }
        }
        drop(std::fs::remove_dir_all(dir));
    }

    /// What a system gives that reads little at a time, or into one place only.
    #[test]
    fn places_are_filled_whatever_a_read_brings() {
        struct Few(Vec<u8>, usize);
        impl Read for Few {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.1.min(buffer.len()).min(self.0.len());
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0.drain(..count);
                Ok(count)
            }
        }
        let all = body(20);
        for few in 1..=20 {
            let (mut first, mut second, mut third) = ([0; 9], [0; 4], [0; 7]);
            let mut places = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second), IoSliceMut::new(&mut third)];
            fill(&mut Few(all.clone(), few), &mut places).expect("enough");
            assert_eq!([&first[..], &second, &third].concat(), all, "{few} at a time");
            let mut places = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            assert!(fill(&mut Few(all[..12].to_vec(), few), &mut places).is_err(), "{few} at a time");
        }
    }

    #[tokio::test]
    async fn only_what_is_sound_and_in_use_is_kept() {
        let body = body(100_000);
        let (shared, dir) = file("kept", &body);
        let reads = async |blob: &Arc<DiskBlob>| {
            let part = Arc::clone(blob).open(7..99_000).await.expect("opens").collect(usize::MAX).await.expect("whole");
            assert!(part == body[7..99_000]);
        };
        for (state, is_kept) in [(NEW, false), (PLACED, true), (RELEASED, false)] {
            let blob = DiskBlob::new(&shared, ID, 100_000, state);
            reads(&blob).await;
            assert_eq!(blob.at_hand(&(0..100_000)).is_some(), is_kept, "{state}");
            shared.bodies.remove(ID);
        }
        let blob = DiskBlob::known(&shared, ID, 100_000);
        reads(&blob).await;
        assert_eq!(blob.at_hand(&(5..9)).as_deref(), Some(&body[5..9]));
        assert!(blob.at_hand(&(5..100_001)).is_none());
        drop(blob.broken("found by another reader"));
        assert!(blob.at_hand(&(5..9)).is_none());
        assert!(Arc::clone(&blob).open(5..9).await.is_err());
        drop(std::fs::remove_dir_all(dir));
    }

    #[test]
    fn no_shorter_or_longer_file_is_read() {
        let body = body(BLOCK_BYTES + 2000);
        let (shared, dir) = file("lengths", &body);
        let whole = file_bytes(body.len() as u64);
        let file = File::options().write(true).open(shared.blob_path(ID)).expect("opens");
        file.set_len(whole + 1).expect("longer");
        assert!(read(&shared, body.len(), 0..1).is_err());
        for length in (0..whole).rev() {
            file.set_len(length).expect("shorter");
            let error = read(&shared, body.len(), 0..1).expect_err("too short");
            assert_eq!(error.kind(), ErrorKind::Io, "{length}");
        }
        drop(std::fs::remove_dir_all(dir));
    }

    #[test]
    fn no_bit_may_flip() {
        let body = body(BLOCK_BYTES + 50);
        let (shared, dir) = file("bits", &body);
        let path = shared.blob_path(ID);
        let whole = std::fs::read(&path).expect("there");
        // Header, first bytes, both checksums, the last block, and some of the rest.
        let end = HEADER_BYTES as usize + BLOCK_BYTES + SUM_BYTES;
        let places = (0..60).chain((60..end).step_by(701)).chain(end - 10..whole.len());
        for at in places {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&path, damaged).expect("written");
            let error = read(&shared, body.len(), 0..body.len() as u64).expect_err("damaged");
            assert_eq!(error.kind(), ErrorKind::Io, "{at}");
        }
        // A sound block in the wrong place is damage, too.
        let body = self::body(2 * BLOCK_BYTES);
        let (shared, _) = file("bits", &body);
        let mut swapped = std::fs::read(&path).expect("there");
        let (first, second) = swapped[HEADER_BYTES as usize..].split_at_mut(BLOCK_BYTES + SUM_BYTES);
        first.swap_with_slice(second);
        std::fs::write(&path, swapped).expect("written");
        assert!(read(&shared, body.len(), 0..1).is_err());
        drop(std::fs::remove_dir_all(dir));
    }
}
