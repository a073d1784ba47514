//! The calls of the issuer in memory.

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerRef,
    IssuerStatus, KeyIssuer, KeyRecord, Material, NewKey, Operation, Result, Revoke, Scope, Shape, VersionId,
};

use super::issuer::{FakeIssuer, Key, Late, Life, State};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyIssuer for FakeIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let refuse = |kind| CreateError::NotCreated(error(kind, Operation::Create, new.record));
        let mut state = self.enter(cx, Operation::Create, new.record).map_err(CreateError::NotCreated)?;
        *state.creates.entry(new.version.id).or_default() += 1;
        let of = new.record.id();
        if self.capabilities.max_live.is_some_and(|cap| state.taken(of) >= cap as usize) {
            return Err(refuse(ErrorKind::Quota));
        }
        let material = mint(&mut state, new).ok_or_else(|| refuse(ErrorKind::Invalid))?;
        let name = format!("key-{}", state.made);
        let reference: IssuerRef = name.parse().map_err(|_| refuse(ErrorKind::Invalid))?;
        let key = Key {
            label: new.version.id,
            of: of.clone(),
            reference: reference.clone(),
            material: material.duplicate(),
            scope: new.record.scope().clone(),
            life: Life::Live,
        };
        let late = if state.script.is_empty() { None } else { state.script.remove(0) };
        if let Some(late) = late {
            let calls = match late {
                Late::ByHand => None,
                Late::AfterCalls(calls) => Some(calls),
            };
            state.late.push((calls, key));
            return Err(CreateError::Unknown(error(ErrorKind::Unknown, Operation::Create, new.record)));
        }
        state.keys.push(key);
        Ok(Created::Key(NewKey::new(material).reference(reference)))
    }

    async fn find(&self, cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let state = self.enter(cx, Operation::Find, record)?;
        if !self.capabilities.finds_by_label {
            return Err(error(ErrorKind::Unsupported, Operation::Find, record));
        }
        let hit = |k: &&Key| {
            k.of == *record.id() && version.is_none_or(|v| v == k.label) && !matches!(k.life, Life::Revoked(_))
        };
        let named = |k: &Key| IssuerKey { label: k.label, reference: k.reference.clone() };
        Ok(state.keys.iter().filter(hit).map(named).collect())
    }

    async fn status(&self, cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        let state = self.enter(cx, Operation::Status, issue.record)?;
        let lives: Vec<Life> = state.keys.iter().filter(|k| is(k, issue)).map(|k| k.life).collect();
        Ok(if lives.contains(&Life::Live) {
            IssuerStatus::Live
        } else if lives.contains(&Life::Suspended) {
            IssuerStatus::Suspended
        } else if lives.is_empty() || state.forgets {
            IssuerStatus::Absent
        } else {
            IssuerStatus::Revoked(Evidence::lossy("the fake issuer lists it as revoked"))
        })
    }

    async fn scope(&self, cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        let state = self.enter(cx, Operation::Scope, issue.record)?;
        let missing = || error(ErrorKind::NotFound, Operation::Scope, issue.record);
        let found = state.keys.iter().find(|k| is(k, issue) && !matches!(k.life, Life::Revoked(_)));
        found.map(|k| Some(k.scope.clone())).ok_or_else(missing)
    }

    async fn deactivate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.switch(cx, issue, Life::Suspended)
    }

    async fn activate(&self, cx: &Context, issue: Issue<'_>) -> Result<()> {
        self.switch(cx, issue, Life::Live)
    }

    async fn revoke(&self, cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let mut state = self.enter(cx, Operation::Revoke, issue.record)?;
        let linger = state.linger;
        for key in state.keys.iter_mut().filter(|k| is(k, issue) && !matches!(k.life, Life::Revoked(_))) {
            key.life = Life::Revoked(linger);
        }
        Ok(Revoke::Accepted)
    }
}

impl FakeIssuer {
    fn enter(
        &self,
        cx: &Context,
        operation: Operation,
        record: &KeyRecord,
    ) -> Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.state();
        state.tick();
        if cx.is_expired() { Err(error(ErrorKind::Unavailable, operation, record)) } else { Ok(state) }
    }

    fn switch(&self, cx: &Context, issue: Issue<'_>, to: Life) -> Result<()> {
        let mut state = self.enter(cx, Operation::Switch, issue.record)?;
        if !self.capabilities.reversible {
            return Err(error(ErrorKind::Unsupported, Operation::Switch, issue.record));
        }
        let mut found = false;
        for key in state.keys.iter_mut().filter(|k| is(k, issue) && !matches!(k.life, Life::Revoked(_))) {
            key.life = to;
            found = true;
        }
        if found { Ok(()) } else { Err(error(ErrorKind::NotFound, Operation::Switch, issue.record)) }
    }
}

/// A new value in the shape of the record.
fn mint(state: &mut State, new: Issue<'_>) -> Option<Material> {
    match new.record.shape() {
        Shape::One => Material::one(state.mint(new.version.id)).ok(),
        Shape::Fields(names) => {
            let fields: Vec<_> = names.iter().map(|name| (name.clone(), state.mint(new.version.id))).collect();
            Material::fields(fields).ok()
        }
    }
}

fn is(key: &Key, issue: Issue<'_>) -> bool {
    key.of == *issue.record.id() && key.label == issue.version.id
}

fn error(kind: ErrorKind, operation: Operation, record: &KeyRecord) -> Error {
    Error::new(kind, operation, "fake-issuer").with_key(record.id())
}
