//! One call of an SDK: within the deadline, repeated while that may help, its error reduced to what
//! may be kept.

use std::error::Error as StdError;
use std::pin::pin;

use async_compat::Compat;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use futures_util::future::{Either, select};
use keyward_core::{Clock, Context, Error, KeyId, Operation, SystemClock};
use keyward_remote::{Retry, quiet};

use crate::error::{Class, Fault, NOT_THE_SERVICE};

/// How calls of one operation are made, whichever service they go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    cx: &'a Context,
    system: &'static str,
    operation: Operation,
    key: Option<&'a KeyId>,
    retry: Retry,
    effect: Effect,
}

/// What a call may change.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Nothing,
    Something,
    /// Something, and each attempt changes it once more.
    Each,
}

impl<'a> Call<'a> {
    /// Calls that change nothing. `system` is the name in errors.
    pub(crate) fn reads(cx: &'a Context, system: &'static str, operation: Operation, retry: Retry) -> Self {
        Self { cx, system, operation, key: None, retry, effect: Effect::Nothing }
    }

    /// The same for calls that change something and may be repeated: a lost reply is an unknown outcome.
    pub(crate) fn writes(self) -> Self {
        Self { effect: Effect::Something, ..self }
    }

    /// The same for a change that must not be tried twice.
    #[cfg_attr(not(feature = "iam"), expect(dead_code, reason = "for issuers"))]
    pub(crate) fn once(self) -> Self {
        Self { effect: Effect::Each, retry: Retry::NEVER, ..self }
    }

    /// The same without repeating: for what may be left out.
    pub(crate) fn hurried(self) -> Self {
        Self { retry: Retry::NEVER, ..self }
    }

    /// Names the key in errors.
    pub(crate) fn about(self, key: &'a KeyId) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The key it is about.
    pub(crate) fn key(&self) -> Option<&'a KeyId> {
        self.key
    }

    /// A fault of this operation.
    pub(crate) fn fault(&self, class: Class) -> Fault {
        self.named(Fault::new(class, self.system, self.operation))
    }

    /// The fault of one item of a batch, by the code the service gave.
    pub(crate) fn fault_of(&self, code: &str) -> Fault {
        self.seen(self.named(Fault::of_code(code, self.system, self.operation)))
    }

    /// An error of this operation.
    pub(crate) fn error(&self, kind: keyward_core::ErrorKind, detail: &'static str) -> Error {
        let error = Error::new(kind, self.operation, self.system).with_detail(detail);
        match self.key {
            Some(key) => error.with_key(key),
            None => error,
        }
    }

    /// Makes the call that `send` makes, again while that may help and the deadline allows.
    pub(crate) async fn send<T, E, F>(&self, mut send: impl FnMut() -> F) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + StdError,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let answer = self.retry.run(self.cx, || {
            // Not even begun when nobody waits any more.
            let begun = (!self.cx.is_expired()).then(&mut send);
            async move {
                match self.attempt(begun).await {
                    Err(fault) if fault.may_pass() => Err(fault.into_error()),
                    answer => Ok(answer),
                }
            }
        });
        answer.await.unwrap_or_else(|error| Err(Fault::again(error)))
    }

    async fn attempt<T, E, F>(&self, begun: Option<F>) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + StdError,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let Some(call) = begun else {
            return Err(self.fault(Class::Away).with_detail("the deadline has passed"));
        };
        let answer = match select(pin!(quiet(Compat::new(call))), pin!(SystemClock.sleep(self.cx.remaining()))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                return Err(self.seen(self.fault(Class::Lost).with_detail("no answer before the deadline")));
            }
        };
        answer.map_err(|failed| self.seen(self.named(Fault::of(&failed, self.system, self.operation))))
    }

    /// Refuses an answer that lacks what every answer of the service has: nothing follows from it.
    pub(crate) fn check(&self, is_whole: bool) -> Result<(), Fault> {
        if is_whole {
            return Ok(());
        }
        Err(self.seen(self.fault(Class::Lost)).with_detail(NOT_THE_SERVICE))
    }

    /// A lost reply of a call that changes nothing is just no answer.
    fn seen(&self, fault: Fault) -> Fault {
        match self.effect {
            Effect::Nothing => fault.of_a_read(),
            Effect::Something => fault,
            Effect::Each => fault.of_one_attempt(),
        }
    }

    fn named(&self, fault: Fault) -> Fault {
        match self.key {
            Some(key) => fault.about(key),
            None => fault,
        }
    }
}
