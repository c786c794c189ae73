//! Several attempts of one call at once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use connect_proto::{Error, Spec};

use super::{attempting::Attempting, source::Encoded};
use crate::{
    call::rt::Sleep,
    client::{
        Client,
        call::{Opened, RequestHead},
        policy::{pushback::Pushback, rules::HedgePolicy},
    },
    transport::Transport,
};

/// A call that is hedged.
pub(crate) struct Hedge<T: Transport> {
    policy: HedgePolicy,
    head: RequestHead,
    message: Encoded,
    running: Vec<Pin<Box<Attempting<T, Encoded>>>>,
    /// How many attempts were sent.
    sent: u32,
    /// The next one is to be sent at once, or else at the end of the delay.
    is_due: bool,
    delay: Option<Sleep>,
    /// The server has asked for no more, or for more than there is time for.
    is_stopped: bool,
    /// What the last of the attempts has brought that failed.
    failed: Option<Result<Opened<T::Body>, Error>>,
}

impl<T: Transport> Hedge<T> {
    pub(crate) fn new(policy: HedgePolicy, head: RequestHead, message: Encoded) -> Self {
        Self {
            policy,
            head,
            message,
            running: Vec::new(),
            sent: 0,
            is_due: true,
            delay: None,
            is_stopped: false,
            failed: None,
        }
    }

    /// The response of the first attempt that succeeds; or the error of one, if it is fatal or the last.
    pub(crate) fn poll_open(
        &mut self,
        client: &Client<T>,
        spec: &Spec,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Opened<T::Body>, Error>> {
        loop {
            if let Some(end) = self.poll_running(client, spec, cx) {
                return Poll::Ready(end);
            }
            let may_send = self.sent == 0
                || (!self.is_stopped
                    && self.sent < self.policy.max_attempts()
                    && client.budget().is_none_or(|budget| budget.allows()));
            if !may_send {
                if !self.running.is_empty() {
                    return Poll::Pending;
                }
                return match self.failed.take() {
                    Some(failed) => Poll::Ready(failed),
                    None => crate::call::polled_again(),
                };
            }
            let delay = self.delay.as_mut().map(|delay| delay.as_mut().poll(cx));
            let is_due = self.is_due || delay.is_some_and(|delay| delay.is_ready());
            if !is_due {
                return Poll::Pending;
            }
            if let Err(error) = self.send(client, spec) {
                if self.running.is_empty() {
                    return Poll::Ready(self.failed.take().unwrap_or(Err(error)));
                }
                self.is_stopped = true;
            }
        }
    }

    /// Polls the attempts. The end of the call, if one of them brings it.
    fn poll_running(
        &mut self,
        client: &Client<T>,
        spec: &Spec,
        cx: &mut Context<'_>,
    ) -> Option<Result<Opened<T::Body>, Error>> {
        let mut index = 0;
        while let Some(attempt) = self.running.get_mut(index) {
            let Poll::Ready(mut answer) = attempt.as_mut().poll_open(client, spec, cx) else {
                index += 1;
                continue;
            };
            drop(self.running.swap_remove(index));
            let failure = match &answer {
                Ok(opened) => opened.failure(),
                Err(error) => Some((error.code(), Pushback::None)),
            };
            let Some((code, pushback)) = failure else {
                if let Some(budget) = client.budget() {
                    budget.succeeded();
                }
                return Some(answer);
            };
            let pushback = pushback.up_to(self.policy.max_pushback());
            let is_fatal = self.policy.is_fatal(code);
            if let Some(budget) = client.budget() {
                if !is_fatal || pushback == Pushback::Never {
                    budget.failed();
                }
            }
            if is_fatal {
                return Some(answer);
            }
            if let Ok(opened) = &mut answer {
                // It may be the call's end, or be dropped for another.
                opened.incoming.tell_peeked_error();
            }
            match pushback {
                Pushback::Never => self.is_stopped = true,
                Pushback::None => self.is_due = true,
                Pushback::After(delay) => {
                    // With no attempt running, nothing else would end the call.
                    let timer = client.known_timer();
                    let timer = timer.filter(|_| self.head.has_time_for(delay));
                    self.is_due = false;
                    self.is_stopped |= timer.is_none();
                    self.delay = timer.map(|timer| timer.sleep(delay));
                }
            }
            self.failed = Some(answer);
        }
        None
    }

    /// Sends an attempt, and waits for the next.
    fn send(&mut self, client: &Client<T>, spec: &Spec) -> Result<(), Error> {
        self.sent += 1;
        let (head, message) = (self.head.clone(), self.message.clone());
        let attempt = Attempting::hedged(client, spec, head, message, self.sent)?;
        self.running.push(Box::pin(attempt));
        let timer = client.known_timer();
        self.delay = timer.map(|timer| timer.sleep(self.policy.delay()));
        self.is_due = false;
        Ok(())
    }
}
