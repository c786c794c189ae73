//! How many HTTP/1.1 connections a channel may have, and the calls that wait for one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_channel::oneshot;

use super::pool::Http1;
use crate::runtime::Runtime;

/// The places of a channel's HTTP/1.1 connections.
#[derive(Debug)]
pub(super) struct Places<R: Runtime>(Arc<Mutex<State<R>>>);

#[derive(Debug)]
struct State<R: Runtime> {
    free: usize,
    /// Connections that are open, in use or idle.
    open: usize,
    /// Connections that are being opened.
    opening: usize,
    /// The calls that wait, the first to come first.
    waiting: VecDeque<oneshot::Sender<Handed<R>>>,
}

/// What a call that waited is given.
#[derive(Debug)]
pub(super) enum Handed<R: Runtime> {
    /// A connection that another call has done with.
    Connection(Box<Http1<R>>),
    /// The right to open one.
    Place(Place<R>),
}

/// The right to one connection. Dropped, it goes to the next call that waits.
#[derive(Debug)]
pub(super) struct Place<R: Runtime> {
    places: Option<Places<R>>,
    is_open: bool,
}

impl<R: Runtime> Places<R> {
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: max,
            open: 0,
            opening: 0,
            waiting: VecDeque::new(),
        })))
    }

    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    pub(super) fn opening(&self) -> usize {
        self.lock().opening
    }

    /// A place, if one is free.
    pub(super) fn take(&self) -> Option<Place<R>> {
        self.take_of(&mut self.lock())
    }

    /// A place, or what to wait for until there is one, or a connection.
    pub(super) fn take_or_wait(&self) -> Result<Place<R>, oneshot::Receiver<Handed<R>>> {
        let mut state = self.lock();
        if let Some(place) = self.take_of(&mut state) {
            return Ok(place);
        }
        // Calls that have gone away meanwhile stay in the queue; they are not to make it grow.
        if state.waiting.len() == state.waiting.capacity() {
            state.waiting.retain(|waiter| !waiter.is_canceled());
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        Err(receiver)
    }

    /// The call that has waited longest.
    pub(super) fn next_waiter(&self) -> Option<oneshot::Sender<Handed<R>>> {
        self.lock().waiting.pop_front()
    }

    /// A free place and the call to give it to.
    fn next_pair(&self) -> Option<(Place<R>, oneshot::Sender<Handed<R>>)> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            return None;
        }
        let place = self.take_of(&mut state)?;
        Some((place, state.waiting.pop_front()?))
    }

    fn take_of(&self, state: &mut State<R>) -> Option<Place<R>> {
        state.free = state.free.checked_sub(1)?;
        state.opening += 1;
        Some(Place {
            places: Some(Self(Arc::clone(&self.0))),
            is_open: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Place<R> {
    /// The connection is open.
    pub(super) fn set_open(&mut self) {
        if let Some(places) = self.places.as_ref().filter(|_| !self.is_open) {
            let mut state = places.lock();
            state.opening -= 1;
            state.open += 1;
            drop(state);
            self.is_open = true;
        }
    }

    /// Makes the place free, and leaves it to the caller to pass it on.
    fn release(&mut self) -> Option<Places<R>> {
        let places = self.places.take()?;
        let mut state = places.lock();
        match self.is_open {
            true => state.open -= 1,
            false => state.opening -= 1,
        }
        state.free += 1;
        drop(state);
        Some(places)
    }
}

impl<R: Runtime> Drop for Place<R> {
    fn drop(&mut self) {
        let Some(places) = self.release() else { return };
        // Outside of the lock, because it wakes the call. One that has gone away gives the place back: released
        // here, for the drops of many such places would nest.
        while let Some((place, waiter)) = places.next_pair() {
            if let Err(Handed::Place(mut place)) = waiter.send(Handed::Place(place)) {
                drop(place.release());
            }
        }
    }
}
