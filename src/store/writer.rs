//! The writer of a run's file: a thread of its own that owns the file, fed through a short channel.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::claims::ClaimRow;
use super::commit::{Committer, Finish};
use super::error::StoreError;
use super::layout::{Layout, StudyHeader};
use super::skeleton;
use super::target::Target;
use crate::ensemble::{
    BlockRecord, DynamicsRecord, ObservableRecord, Plan, Record, Sink, SinkError, Stationary,
};
use crate::lanes::stopwatch::{self, Section};

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Going on, or killed.
    Running,
    /// All was done and judged.
    Complete,
    /// Stopped before its end; what is there is whole.
    Interrupted,
    /// Ended by an error, a full disk say; what was committed before is whole.
    Failed,
}

impl Status {
    /// The value of the root attribute `status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// From the root attribute.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Running, Self::Complete, Self::Interrupted, Self::Failed]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// Blocks on their way to the thread; more, and the engine waits for the disk.
const CHANNEL: usize = 4;
/// Time between two commits, unless they are slow.
const INTERVAL: Duration = Duration::from_secs(1);
/// Share of the time that commits may take.
const SHARE: u32 = 20;
/// Bytes waiting that are committed at once.
const WAITING: usize = 64 << 20;

enum Message {
    Rows(usize, Arc<BlockRecord>),
    Finish(usize, Finish),
    Complete { digest: String, claims: Vec<ClaimRow>, status: Status },
}

/// Writes a study's file while its run goes on: it is an [`ensemble::Sink`](crate::ensemble::Sink).
///
/// Blocks of replicas come in replica order; about once a second what has come is committed, so that a reader sees
/// it and a kill cannot take it. An error of the disk comes back from the next call; what was committed before stays
/// readable. Others may read the file meanwhile; one who meets a commit half way gets an error and opens again.
/// Dropped without [`Writer::complete`], it commits what it has and says that the run failed.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    header: StudyHeader,
    interval: Duration,
    state: State,
    /// As in the plan, but with the replicas that have come.
    dynamics: Vec<Progress>,
}

#[derive(Debug)]
enum State {
    /// A temporary file, still empty.
    Created(Target),
    Running(SyncSender<Message>, JoinHandle<Result<(), StoreError>>),
    Stopped,
}

#[derive(Debug)]
struct Progress {
    plan: DynamicsRecord,
    received: usize,
    finished: bool,
}

impl Writer {
    /// Makes sure that the file can be written before hours are spent, by beginning it under a temporary name.
    ///
    /// The file appears under its own name when the run begins ([`Sink::begin`]), whole but without data. With
    /// `force`, an older file is replaced when the first data are committed, not before: a run that fails until then
    /// destroys nothing.
    ///
    /// # Errors
    /// [`StoreError::Exists`] without `force`; [`StoreError::NoFolder`], [`StoreError::NotAFile`],
    /// [`StoreError::NotWritable`], [`StoreError::Full`]. Nothing is left behind then.
    pub fn create(path: &Path, header: &StudyHeader, force: bool) -> Result<Self, StoreError> {
        Ok(Self::of(Target::create(path, force)?, header))
    }

    /// The same without an older file being in the way: where `NAME.h5` is taken, the first free of `NAME-2.h5`, `NAME-3.h5`, … is the
    /// output. Which one, [`Writer::path`] says once the run has begun: of several runs that begin at once, each gets a name of its own.
    ///
    /// # Errors
    /// Those of [`Writer::create`] but [`StoreError::Exists`].
    pub fn create_numbered(path: &Path, header: &StudyHeader) -> Result<Self, StoreError> {
        Ok(Self::of(Target::create_numbered(path)?, header))
    }

    fn of(target: Target, header: &StudyHeader) -> Self {
        Self {
            path: target.path().to_path_buf(),
            header: header.clone(),
            interval: INTERVAL,
            state: State::Created(target),
            dynamics: vec![],
        }
    }

    /// Time between two commits, one second unless said otherwise; zero commits every block. To be said before the run
    /// begins.
    #[must_use]
    pub fn commit_every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The file; until the run has begun, the name it would have now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// [`Sink::begin`] with the error as it is.
    ///
    /// # Errors
    /// Those of [`Writer::create`], which may show only now that there is something to write.
    pub fn begin_file(&mut self, plan: &Plan) -> Result<(), StoreError> {
        let State::Created(mut target) = std::mem::replace(&mut self.state, State::Stopped) else {
            return mismatch("a second beginning".to_string());
        };
        let layout = Layout::new(&self.header, plan);
        target.build(|file| skeleton::write(file, &self.header, &layout, plan))?;
        self.path = target.path().to_path_buf();
        let (sender, receiver) = mpsc::sync_channel(CHANNEL);
        let interval = self.interval;
        let thread = std::thread::Builder::new()
            .name("store".to_string())
            .spawn(move || run(Committer::new(target, &layout), &receiver, interval))
            .map_err(|e| StoreError::io("starting the writer of", &self.path, e))?;
        self.state = State::Running(sender, thread);
        self.dynamics = plan
            .dynamics
            .iter()
            .map(|d| Progress { plan: d.clone(), received: 0, finished: false })
            .collect();
        Ok(())
    }

    /// [`Sink::block`] with the error as it is.
    ///
    /// # Errors
    /// What went wrong with the file since the last call; [`StoreError::Mismatch`] for arrays of a wrong length.
    pub fn write_block(
        &mut self,
        dynamics: usize,
        block: impl Into<Arc<BlockRecord>>,
    ) -> Result<(), StoreError> {
        let block = block.into();
        let progress = self.progress(dynamics)?;
        check_block(&progress.plan, progress.received, &block)?;
        progress.received += block.replicas;
        self.send(Message::Rows(dynamics, block))
    }

    /// [`Sink::finish`] with the error as it is: commits the dynamics' replicas and its statistics over them.
    ///
    /// # Errors
    /// As [`Writer::write_block`].
    pub fn finish_dynamics(&mut self, dynamics: usize, record: &DynamicsRecord) -> Result<(), StoreError> {
        let progress = self.progress(dynamics)?;
        let plan = &progress.plan;
        if plan.steps != record.steps || plan.times != record.times {
            return mismatch(format!("instants of {}", plan.name));
        }
        for (observable, planned) in record.observables.iter().zip(&plan.observables) {
            if observable.ensemble.len() != plan.times.len() * planned.components() {
                return mismatch(format!("moments of {} in {}", planned.name, plan.name));
            }
        }
        progress.finished = true;
        let finish = Finish {
            seconds: record.seconds,
            requested: i64::try_from(record.requested).unwrap_or(i64::MAX),
            ensemble: record.observables.iter().map(|o| o.ensemble.clone()).collect(),
        };
        self.send(Message::Finish(dynamics, finish))
    }

    /// Ends the file: what of `record` has not come yet, the claims, the digest and the status; then waits until the
    /// disk has it all.
    ///
    /// # Errors
    /// As [`Writer::write_block`].
    pub fn complete(
        &mut self,
        record: &Record,
        digest: &str,
        claims: &[ClaimRow],
        status: Status,
    ) -> Result<(), StoreError> {
        if matches!(self.state, State::Created(_)) {
            self.begin_file(&Plan { dynamics: record.dynamics.iter().map(without_data).collect() })?;
        }
        for (index, dynamics) in record.dynamics.iter().enumerate() {
            let progress = self.progress(index)?;
            let (first, finished) = (progress.received, progress.finished);
            if dynamics.replicas > first {
                self.write_block(index, rest(dynamics, first))?;
            }
            if !finished && dynamics.replicas > 0 {
                self.finish_dynamics(index, dynamics)?;
            }
        }
        self.send(Message::Complete { digest: digest.to_string(), claims: claims.to_vec(), status })?;
        self.stop()
    }

    fn progress(&mut self, dynamics: usize) -> Result<&mut Progress, StoreError> {
        match self.dynamics.get_mut(dynamics) {
            Some(progress) => Ok(progress),
            None => mismatch(format!("dynamics number {dynamics}")),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), StoreError> {
        let State::Running(sender, _) = &self.state else { return Err(self.stopped()) };
        if sender.send(message).is_ok() {
            return Ok(());
        }
        // The thread has gone, and with it went the reason.
        self.stop().and_then(|()| Err(self.stopped()))
    }

    fn stop(&mut self) -> Result<(), StoreError> {
        let State::Running(sender, thread) = std::mem::replace(&mut self.state, State::Stopped) else {
            return Ok(());
        };
        drop(sender);
        // An error here is a panic inside the HDF5 library.
        thread.join().unwrap_or_else(|_| Err(self.stopped()))
    }

    fn stopped(&self) -> StoreError {
        StoreError::Stopped { path: self.path.clone() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody is left who could be told.
        drop(self.stop());
    }
}

impl Sink for Writer {
    fn begin(&mut self, plan: &Plan) -> Result<(), SinkError> {
        Ok(self.begin_file(plan)?)
    }

    fn block(&mut self, dynamics: usize, block: &Arc<BlockRecord>) -> Result<(), SinkError> {
        Ok(self.write_block(dynamics, Arc::clone(block))?)
    }

    fn finish(&mut self, dynamics: usize, record: &DynamicsRecord) -> Result<(), SinkError> {
        Ok(self.finish_dynamics(dynamics, record)?)
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        Self { message: error.to_string(), source: None }
    }
}

fn mismatch<T>(what: String) -> Result<T, StoreError> {
    Err(StoreError::Mismatch { what })
}

fn check_block(plan: &DynamicsRecord, first: usize, block: &BlockRecord) -> Result<(), StoreError> {
    if block.first != first {
        return mismatch(format!("replica {} of {} where {first} is next", block.first, plan.name));
    }
    if block.observables.len() != plan.observables.len() {
        return mismatch(format!("number of observables of {}", plan.name));
    }
    let kept = plan.kept.saturating_sub(first).min(block.replicas);
    for (rows, planned) in block.observables.iter().zip(&plan.observables) {
        let all = block.replicas * planned.components();
        let window = &rows.stationary;
        let lengths = [
            (rows.last.len(), all),
            (rows.max_change.len(), all),
            (window.mean.len(), all),
            (window.variance.len(), all),
            (window.first_mean.len(), all),
            (window.first_variance.len(), all),
            (window.second_mean.len(), all),
            (window.second_variance.len(), all),
            (rows.trajectories.len(), kept * plan.times.len() * planned.components()),
        ];
        if let Some(&(found, wanted)) = lengths.iter().find(|(found, wanted)| found != wanted) {
            return mismatch(format!("{} of {}: {found} numbers for {wanted}", planned.name, plan.name));
        }
    }
    Ok(())
}

/// The plan that a record carried out.
fn without_data(record: &DynamicsRecord) -> DynamicsRecord {
    let observables = record.observables.iter().map(|o| ObservableRecord {
        name: o.name.clone(),
        shape: o.shape.clone(),
        hidden: o.hidden,
        stationary: Stationary { instants: o.stationary.instants, ..Default::default() },
        ..Default::default()
    });
    DynamicsRecord {
        replicas: 0,
        diverged: vec![],
        failure: None,
        observables: observables.collect(),
        seconds: 0.0,
        profile: None,
        name: record.name.clone(),
        steps: record.steps.clone(),
        times: record.times.clone(),
        ..*record
    }
}

/// The replicas of a record from `first` on.
fn rest(record: &DynamicsRecord, first: usize) -> BlockRecord {
    let cut = |values: &[f64], row: usize| values[(first * row).min(values.len())..].to_vec();
    let window = |s: &Stationary, row| Stationary {
        instants: s.instants,
        mean: cut(&s.mean, row),
        variance: cut(&s.variance, row),
        first_mean: cut(&s.first_mean, row),
        first_variance: cut(&s.first_variance, row),
        second_mean: cut(&s.second_mean, row),
        second_variance: cut(&s.second_variance, row),
    };
    let observables = record.observables.iter().map(|o| ObservableRecord {
        name: o.name.clone(),
        shape: o.shape.clone(),
        hidden: o.hidden,
        ensemble: vec![],
        last: cut(&o.last, o.components()),
        stationary: window(&o.stationary, o.components()),
        max_change: cut(&o.max_change, o.components()),
        trajectories: cut(&o.trajectories, o.components() * record.times.len()),
    });
    BlockRecord {
        first,
        replicas: record.replicas - first,
        diverged: record.diverged.iter().copied().filter(|d| d.0 >= first).collect(),
        failure: None,
        observables: observables.collect(),
    }
}

/// The thread: takes messages until there are no more. After an error the file says, if it still can, that the run failed.
fn run(
    mut committer: Committer,
    receiver: &mpsc::Receiver<Message>,
    interval: Duration,
) -> Result<(), StoreError> {
    let result = take(&mut committer, receiver, interval);
    if result.is_err() {
        committer.fail();
    }
    result
}

/// Commits what has come when the time is ripe.
fn take(
    committer: &mut Committer,
    receiver: &mpsc::Receiver<Message>,
    interval: Duration,
) -> Result<(), StoreError> {
    let mut last = Instant::now();
    let mut pause = interval;
    loop {
        let message = if committer.pending() {
            receiver.recv_timeout(pause.saturating_sub(last.elapsed()))
        } else {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let ended = matches!(message, Ok(Message::Complete { .. }));
        let due = match message {
            Ok(Message::Rows(dynamics, rows)) => {
                let _storing = stopwatch::enter(Section::Storage);
                committer.rows(dynamics, &rows)?;
                last.elapsed() >= pause || committer.waiting() >= WAITING
            }
            Ok(Message::Finish(dynamics, finish)) => {
                committer.finish(dynamics, finish);
                last.elapsed() >= pause
            }
            Ok(Message::Complete { digest, claims, status }) => {
                committer.complete(&digest, &claims, status)?;
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => return committer.leave(),
        };
        if ended {
            return Ok(());
        }
        if due {
            let begin = Instant::now();
            let _storing = stopwatch::enter(Section::Storage);
            committer.commit()?;
            last = Instant::now();
            if !interval.is_zero() {
                pause = interval.max((last - begin) * SHARE);
            }
        }
    }
}
