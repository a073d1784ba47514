//! The contract holds through references, boxes and shared pointers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Expect, ListQuery, Page, Pointer, Publish, Read, ReadItem, Retire, SecretBackend, Stage, Survey, Swap, Withdraw,
};
use crate::{
    Adopter, AdoptionLedger, AuditSink, Capabilities, Context, KeyId, KeyRecord, Material, PageToken, PointerToken,
    PublicationId, Result, Stamped, Target, VersionId,
};

type Listing = Page<Result<Stamped<KeyRecord>>>;

/// Writes the forwarding impl for one kind of pointer.
macro_rules! forward {
    ($pointer:ty) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<B: SecretBackend + ?Sized> SecretBackend for $pointer {
            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }

            async fn load(&self, cx: &Context, keys: &[KeyId]) -> Vec<Result<Option<Stamped<KeyRecord>>>> {
                (**self).load(cx, keys).await
            }

            async fn swap(&self, cx: &Context, key: &KeyId, expect: Expect, next: &KeyRecord) -> Result<Swap> {
                (**self).swap(cx, key, expect, next).await
            }

            async fn list(&self, cx: &Context, query: &ListQuery, page: Option<PageToken>) -> Result<Listing> {
                (**self).list(cx, query, page).await
            }

            async fn stage(
                &self,
                cx: &Context,
                key: &Target,
                version: VersionId,
                material: &Material,
            ) -> Result<Stage> {
                (**self).stage(cx, key, version, material).await
            }

            async fn pointer(&self, cx: &Context, key: &Target) -> Result<Pointer> {
                (**self).pointer(cx, key).await
            }

            async fn publish(
                &self,
                cx: &Context,
                key: &Target,
                version: VersionId,
                publication: PublicationId,
                expect: &PointerToken,
            ) -> Result<Publish> {
                (**self).publish(cx, key, version, publication, expect).await
            }

            async fn read(&self, cx: &Context, items: &[ReadItem]) -> Vec<Result<Read>> {
                (**self).read(cx, items).await
            }

            async fn withdraw(&self, cx: &Context, key: &Target, version: VersionId) -> Result<Withdraw> {
                (**self).withdraw(cx, key, version).await
            }

            async fn survey(&self, cx: &Context, key: &Target) -> Result<Survey> {
                (**self).survey(cx, key).await
            }

            async fn retire(&self, cx: &Context, key: &Target, grace: Duration) -> Result<Retire> {
                (**self).retire(cx, key, grace).await
            }

            fn audit(&self) -> Option<&dyn AuditSink> {
                (**self).audit()
            }

            fn adoption(&self) -> Option<&dyn AdoptionLedger> {
                (**self).adoption()
            }

            fn adopter(&self) -> Option<&dyn Adopter> {
                (**self).adopter()
            }
        }
    };
}

forward!(&B);
forward!(Box<B>);
forward!(Arc<B>);
