//! The endpoints of a channel with many: found by a resolver, chosen by a balancer, left alone while they fail.
//!
//! Everything is driven by calls. A call picks an endpoint from a [`Picture`] of the states that they had a moment ago, and the
//! picture is made anew when it turns out to be wrong. A channel that nobody uses opens no connection and asks no resolver;
//! only a resolver that tells of changes by itself is listened to.

mod asking;
mod first;
mod health;
mod member;
mod picture;
mod watch;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use connect_proto::{Error, Time};
use connect_tower::transport::{ChannelState, ChannelStats, Sent, TransportError};
use futures_channel::oneshot;

pub(super) use self::member::{Member, Unanswered};
use self::{
    health::Health,
    picture::{Picture, Tier, better},
};
use super::{
    balance::{Balance, Ejection, Load},
    endpoint::{Lease, too_many},
    health_check::HealthCheck,
    resolve::Resolve,
    shared::{Shared, Want},
};
use crate::runtime::Runtime;

/// How the endpoints are found and chosen.
pub(super) struct GroupSettings {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) balance: Box<dyn Balance>,
    pub(super) ejection: Option<Ejection>,
    /// Endpoints are asked whether they serve this service.
    pub(super) health_check: Option<HealthCheck>,
    /// How old an answer of the resolver becomes while the channel is used.
    pub(super) resolve_interval: Option<Duration>,
}

/// The endpoints of a channel.
pub(super) struct Group<R: Runtime> {
    shared: Arc<Shared<R>>,
    settings: GroupSettings,
    state: Mutex<State<R>>,
    /// How many calls have waited for an endpoint, and have none yet.
    waiting_calls: AtomicUsize,
}

struct State<R: Runtime> {
    /// Those that the resolver named last.
    members: Vec<Arc<Member<R>>>,
    /// Those that it named before, until their last call has ended.
    leaving: Vec<Arc<Member<R>>>,
    picture: Arc<Picture<R>>,
    /// A resolver is being asked.
    is_resolving: bool,
    /// It has said meanwhile that there is news.
    has_news: bool,
    /// When a resolver was asked the last time.
    asked_at: Option<Time>,
    /// How many times a resolver had no answer.
    unresolved: u64,
    /// The latest reason for it, or for a connection that could not be opened.
    failure: Option<TransportError>,
    /// Who waits for an endpoint, or watches the state.
    waiters: Vec<oneshot::Sender<()>>,
    /// What listens to the resolver ends when this is dropped.
    listening: Option<oneshot::Sender<()>>,
    is_closed: bool,
}

/// What a call is to do for an endpoint.
enum Pick<R: Runtime> {
    Take(Arc<Member<R>>),
    /// And then to pick again.
    Wait(oneshot::Receiver<()>),
    Again,
    Fail(TransportError),
}

/// What a call has met so far.
struct Search<'a, R: Runtime> {
    want: Want,
    /// Once it has waited. It keeps that when it is woken, so that none that came later takes it.
    place: Option<Place<'a>>,
    /// Endpoints that gave it no connection.
    tried: Vec<Arc<Member<R>>>,
    /// Why the last of them did not.
    failure: Option<TransportError>,
    /// The endpoints when it began to wait, and how many attempts to connect to each had ended.
    seen: Vec<(Arc<Member<R>>, u64)>,
    /// How many times the resolver had no answer, when it began to wait for one.
    unresolved: Option<u64>,
}

impl<R: Runtime> Group<R> {
    /// The endpoints are not known yet.
    pub(super) fn new(shared: Arc<Shared<R>>, settings: GroupSettings) -> Arc<Self> {
        Arc::new(Self {
            shared,
            settings,
            state: Mutex::new(State {
                members: Vec::new(),
                leaving: Vec::new(),
                picture: Arc::default(),
                is_resolving: false,
                has_news: false,
                asked_at: None,
                unresolved: 0,
                failure: None,
                waiters: Vec::new(),
                listening: None,
                is_closed: false,
            }),
            waiting_calls: AtomicUsize::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing of a user's runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        self.shared.runtime.now()
    }

    /// A connection for a call, of the endpoint that the balancer chose. One that gives none is passed over for the next: the
    /// call has not been sent.
    pub(super) async fn check_out(
        self: &Arc<Self>,
        want: Want,
        skip_idle: bool,
    ) -> Result<(Lease, Arc<Member<R>>), TransportError> {
        let mut search = Search {
            want,
            place: None,
            tried: Vec::new(),
            failure: None,
            seen: Vec::new(),
            unresolved: None,
        };
        loop {
            match self.pick(&mut search) {
                Pick::Fail(error) => return Err(error),
                Pick::Again => {}
                // Whatever it says: it looks again.
                Pick::Wait(changed) => drop(changed.await),
                Pick::Take(member) => {
                    let found = self.take(member, &mut search, skip_idle).await?;
                    if let Some((lease, member)) = found {
                        member.found();
                        return Ok((lease, member));
                    }
                }
            }
        }
    }

    /// A connection of the endpoint that was chosen, or of one that is quicker.
    async fn take<'a>(
        self: &'a Arc<Self>,
        member: Arc<Member<R>>,
        search: &mut Search<'a, R>,
        skip_idle: bool,
    ) -> Result<Option<(Lease, Arc<Member<R>>)>, TransportError> {
        if self.may_be_overtaken(&member) {
            // In a box, to keep the future of a call small.
            return Box::pin(self.first_connection(member, search, skip_idle)).await;
        }
        match member.endpoint.check_out(search.want, skip_idle).await {
            Ok(lease) => Ok(Some((lease, member))),
            Err(error) => {
                self.passed_over(member, error, search)?;
                Ok(None)
            }
        }
    }

    fn pick<'a>(self: &'a Arc<Self>, search: &mut Search<'a, R>) -> Pick<R> {
        let picture = self.picture();
        let is_eager = self.settings.balance.connects_to_all();
        if is_eager && picture.has_lost {
            self.connect_all(search.want);
        }
        if let Some(member) = self.choose(&picture.ready, &search.tried) {
            if member.endpoint.state() == ChannelState::Ready {
                return Pick::Take(member);
            }
            // It was lost since.
            let picture = self.refresh();
            if let Some(member) = self.choose(&picture.ready, &search.tried) {
                return Pick::Take(member);
            }
        }
        let state = self.lock();
        if state.is_closed {
            return Pick::Fail(closed());
        }
        if is_eager || state.members.is_empty() {
            if let Err(refusal) = self.take_place(search) {
                return Pick::Fail(refusal);
            }
        }
        if state.members.is_empty() {
            return self.wait_for_resolver(state, search);
        }
        if is_eager {
            return self.wait_for_connection(state, search);
        }
        drop(state);
        if let Some(member) = self.next_untried(&search.tried) {
            return Pick::Take(member);
        }
        // All have been tried, or there are others now.
        search.failure.take().map_or(Pick::Again, Pick::Fail)
    }

    /// The balancer's choice among the fittest endpoints that have not been tried. Those that failed before come last.
    fn next_untried(&self, tried: &[Arc<Member<R>>]) -> Option<Arc<Member<R>>> {
        let picture = self.refresh();
        let tiers = [
            &picture.ready,
            &picture.waiting,
            &picture.ejected,
            &picture.failed,
        ];
        tiers.into_iter().find_map(|tier| self.choose(tier, tried))
    }

    /// Notes a call that is to wait, if there are not too many.
    fn take_place<'a>(&'a self, search: &mut Search<'a, R>) -> Result<(), TransportError> {
        if search.place.is_none() {
            let max = self.shared.settings.max_waiting_calls;
            let place = Place::take(&self.waiting_calls, max).ok_or_else(|| too_many(max))?;
            search.place = Some(place);
        }
        Ok(())
    }

    /// Of these endpoints, which have not been tried, the balancer's choice.
    fn choose(&self, tier: &Tier<R>, tried: &[Arc<Member<R>>]) -> Option<Arc<Member<R>>> {
        let left;
        let tier = match tried.is_empty() {
            true => tier,
            false => {
                left = tier.without(tried);
                &left
            }
        };
        let last = tier.candidates.len().checked_sub(1)?;
        let index = self.settings.balance.pick(&tier.candidates).min(last);
        tier.members.get(index).cloned()
    }

    /// Waits for an answer of the resolver, and for no more than one.
    fn wait_for_resolver(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<R>>,
        search: &mut Search<'_, R>,
    ) -> Pick<R> {
        let before = *search.unresolved.get_or_insert(state.unresolved);
        if state.unresolved > before {
            return Pick::Fail(state.failure.clone().unwrap_or_else(closed));
        }
        let changed = state.add_waiter();
        drop(state);
        self.resolve();
        Pick::Wait(changed)
    }

    /// Waits for the first endpoint to have a connection, and through no more than an attempt of each.
    fn wait_for_connection(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<R>>,
        search: &mut Search<'_, R>,
    ) -> Pick<R> {
        let members = state.members.clone();
        let changed = state.add_waiter();
        let failure = state.failure.clone();
        drop(state);
        if search.is_over(&members) {
            let picture = self.refresh();
            for tier in [&picture.ready, &picture.ejected] {
                if let Some(member) = self.choose(tier, &search.tried) {
                    return Pick::Take(member);
                }
            }
            let failure = search.failure.take().or(failure);
            return Pick::Fail(failure.unwrap_or_else(closed));
        }
        search.tried.clear();
        self.connect_all(search.want);
        let is_asked = |it: &Arc<Member<R>>| it.health() == Some(Health::Asked);
        match members.iter().any(|it| it.is_connecting() || is_asked(it)) {
            true => Pick::Wait(changed),
            // All have ended meanwhile, one way or the other.
            false => Pick::Again,
        }
    }

    /// The states of the endpoints, as far as they are known.
    fn picture(self: &Arc<Self>) -> Arc<Picture<R>> {
        let state = self.lock();
        let picture = Arc::clone(&state.picture);
        let is_old = |asked_at: Time, interval| self.now().saturating_since(asked_at) >= interval;
        let asked_at = state.asked_at.zip(self.settings.resolve_interval);
        let is_resolving = state.is_resolving;
        drop(state);
        if !is_resolving && asked_at.is_some_and(|(at, interval)| is_old(at, interval)) {
            self.resolve();
        }
        match picture.changes_at {
            Some(time) if time <= self.now() => self.refresh(),
            _ => picture,
        }
    }

    /// Looks at the states of all endpoints.
    fn refresh(&self) -> Arc<Picture<R>> {
        let now = self.now();
        let mut state = self.lock();
        state.picture = Arc::new(Picture::new(&state.members, now));
        Arc::clone(&state.picture)
    }

    /// The same, and tells who waits.
    fn changed(&self) {
        self.refresh();
        let waiters = std::mem::take(&mut self.lock().waiters);
        for waiter in waiters {
            let _ = waiter.send(());
        }
    }

    /// Opens a connection to each endpoint that has none, and asks those that have one whether they serve.
    fn connect_all(self: &Arc<Self>, want: Want) {
        let (members, mut is_picture_wrong) = {
            let state = self.lock();
            if state.is_closed {
                return;
            }
            (state.members.clone(), state.picture.has_lost)
        };
        for member in members {
            if member.endpoint.state() == ChannelState::Ready {
                is_picture_wrong |= self.watch_health(&member);
            // Also where a call is connecting: who waits is to be told of its end.
            } else if member.begin_connecting() {
                let connecting = Connecting {
                    group: Arc::downgrade(self),
                    member,
                    failure: Some(shutting_down()),
                };
                self.shared.runtime.spawn(connecting.run(want));
                is_picture_wrong = true;
            }
        }
        if is_picture_wrong {
            self.refresh();
        }
    }

    /// An endpoint gave no connection: the resolver may know others by now. That is no reason to eject it. It gets no calls until
    /// it has one, and is to have them as soon as it has.
    fn not_connected(self: &Arc<Self>, error: &TransportError) {
        self.lock().failure = Some(error.clone());
        self.refresh();
        self.resolve();
    }

    /// Notes a call that an endpoint has failed, which may be ejected for it.
    fn failed(&self, member: &Member<R>) {
        let Some(ejection) = &self.settings.ejection else {
            return;
        };
        let now = self.now();
        let members = self.lock().members.clone();
        let ejected = members.iter().filter(|it| it.is_ejected(now)).count();
        let has_room = ejected < ejection.max_ejected(members.len());
        if member.fail(ejection, now, has_room) {
            self.refresh();
        }
    }

    pub(super) fn state(&self) -> ChannelState {
        let state = self.lock();
        if state.members.is_empty() {
            return match (state.is_resolving, &state.failure) {
                (true, _) => ChannelState::Connecting,
                (false, Some(_)) => ChannelState::Failed,
                (false, None) => ChannelState::Idle,
            };
        }
        let mut best = ChannelState::Failed;
        for member in &state.members {
            best = better(best, member.state());
        }
        best
    }

    /// Waits until the state is another than this, and returns it.
    pub(super) async fn state_changed(&self, since: ChannelState) -> ChannelState {
        loop {
            let (members, news) = {
                let mut state = self.lock();
                (state.members.clone(), state.add_waiter())
            };
            let mut changes: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> =
                vec![Box::pin(async {
                    let _ = news.await;
                })];
            for member in &members {
                let now = member.endpoint.state();
                changes.push(Box::pin(async move {
                    member.endpoint.changed(now).await;
                }));
            }
            let now = self.state();
            if now != since {
                return now;
            }
            std::future::poll_fn(|cx| {
                let is_over = |change: &mut Pin<Box<dyn Future<Output = ()> + Send + '_>>| {
                    change.as_mut().poll(cx).is_ready()
                };
                match changes.iter_mut().any(is_over) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        let members = self.lock().all_members();
        members.iter().map(|it| it.endpoint.outstanding()).sum()
    }

    pub(super) fn stats(&self) -> ChannelStats {
        let members = self.lock().all_members();
        let now = self.now();
        ChannelStats {
            state: self.state(),
            waiting_calls: self.waiting_calls.load(Ordering::Relaxed),
            endpoints: members.iter().map(|it| it.stats(now)).collect(),
            ..ChannelStats::default()
        }
    }

    /// Takes no more calls, and ends when the last one has ended.
    pub(super) async fn drain(&self) {
        let members = {
            let mut state = self.lock();
            state.is_closed = true;
            state.listening = None;
            state.all_members()
        };
        self.changed();
        // All at once: while one has calls no other is to get any.
        for member in &members {
            member.close();
        }
        for member in &members {
            member.endpoint.drain().await;
        }
    }
}

impl<R: Runtime> Search<'_, R> {
    /// Whether an attempt of each endpoint has ended since this was asked for the first time, if it has no connection, or
    /// says that it does not serve.
    fn is_over(&mut self, members: &[Arc<Member<R>>]) -> bool {
        let mut is_over = true;
        for member in members {
            let seen = self.seen.iter().find(|(it, _)| Arc::ptr_eq(it, member));
            match seen {
                Some((_, before)) => {
                    let is_ready = member.endpoint.state() == ChannelState::Ready;
                    is_over &= match (is_ready, member.health()) {
                        (true, Some(Health::Unasked | Health::Asked)) => false,
                        (true, _) => true,
                        (false, _) => member.attempts() > *before,
                    };
                }
                None => {
                    self.seen.push((Arc::clone(member), member.attempts()));
                    is_over = false;
                }
            }
        }
        is_over
    }
}

impl<R: Runtime> State<R> {
    /// With those that are leaving.
    fn all_members(&self) -> Vec<Arc<Member<R>>> {
        let members = self.members.iter().chain(&self.leaving);
        members.cloned().collect()
    }

    fn add_waiter(&mut self) -> oneshot::Receiver<()> {
        // Those that have gone away are not to make it grow.
        if self.waiters.len() == self.waiters.capacity() {
            self.waiters.retain(|waiter| !waiter.is_canceled());
        }
        let (sender, receiver) = oneshot::channel();
        self.waiters.push(sender);
        receiver
    }
}

/// A call's place among those that wait, until it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    /// `None` if so many are taken.
    fn take(taken: &'a AtomicUsize, max: usize) -> Option<Self> {
        let one_more = |count| (count < max).then_some(count + 1);
        let updated = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        updated.ok().map(|_| Self(taken))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An endpoint's connection that is being opened, before a call needs it. A runtime may drop that: the calls are not to wait
/// for ever.
struct Connecting<R: Runtime> {
    group: Weak<Group<R>>,
    member: Arc<Member<R>>,
    failure: Option<TransportError>,
}

impl<R: Runtime> Connecting<R> {
    async fn run(mut self, want: Want) {
        let connected = self.member.endpoint.check_out(want, false).await;
        self.failure = connected.err();
    }
}

impl<R: Runtime> Drop for Connecting<R> {
    fn drop(&mut self) {
        self.member.end_connecting();
        let Some(group) = self.group.upgrade() else {
            return;
        };
        if let Some(failure) = self.failure.take() {
            group.not_connected(&failure);
        }
        group.changed();
    }
}

fn closed() -> TransportError {
    let error = Error::unavailable("the channel is closed: it takes no more calls");
    TransportError::new(Sent::No, error)
}

fn shutting_down() -> TransportError {
    let error = Error::unavailable("the runtime is shutting down: it runs no new tasks");
    TransportError::new(Sent::No, error)
}

impl<R: Runtime> fmt::Debug for Group<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let members = state.members.iter();
        let states = members.map(|it| (it.address().to_string(), it.endpoint.state()));
        f.debug_map().entries(states).finish()
    }
}
