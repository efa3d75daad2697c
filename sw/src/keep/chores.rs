//! What must be done one after the other: deletions, and the documents.

use std::rc::Rc;

use futures::FutureExt;
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen_futures::spawn_local;

use crate::engine::Engine;
use crate::js::warn;
use crate::{catalogue, site, store};

/// Milliseconds that changes of the catalogue are gathered before it is written.
const CATALOGUE_DELAY_MS: u32 = 300;

impl Engine {
    /// Compares the catalogue with what there is, if a worker was stopped while it had
    /// still to write it. Nothing is written meanwhile.
    pub fn reconcile(self: &Rc<Self>) {
        if self.state().catalogue.settled {
            return;
        }
        let engine = Rc::clone(self);
        self.chore(async move {
            let Ok(entries) = store::entries().await else { return };
            let lost = engine.state().catalogue.reconcile(entries);
            store::delete(&lost).await;
            engine.save_catalogue();
        });
    }

    /// Does something after all chores before it, and before any that comes later.
    pub(super) fn chore(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        let engine = Rc::clone(self);
        let before = {
            let keeper = &mut self.state().keeper;
            keeper.chores_left += 1;
            keeper.chores.take()
        };
        let all = async move {
            if let Some(before) = before {
                before.await;
            }
            work.await;
            let keeper = &mut engine.state().keeper;
            keeper.chores_left -= 1;
            if keeper.chores_left == 0 {
                keeper.chores = None;
            }
        };
        let all = all.boxed_local().shared();
        self.state().keeper.chores = Some(all.clone());
        spawn_local(all);
    }

    /// Waits until there is no chore.
    pub async fn chores_done(&self) {
        loop {
            let Some(chores) = self.state().keeper.chores.clone() else { return };
            chores.await;
        }
    }

    /// Entries are about to change: the catalogue on disk says so before they do.
    pub(super) fn unsettle(self: &Rc<Self>) {
        if std::mem::replace(&mut self.state().catalogue.settled, false) {
            self.write_catalogue(false);
        }
    }

    /// Writes the catalogue soon. Whatever changes entries ends with this.
    pub fn save_catalogue(self: &Rc<Self>) {
        if std::mem::replace(&mut self.state().keeper.catalogue_due, true) {
            return;
        }
        let engine = Rc::clone(self);
        spawn_local(async move {
            TimeoutFuture::new(CATALOGUE_DELAY_MS).await;
            engine.state().keeper.catalogue_due = false;
            engine.write_catalogue(true);
        });
    }

    /// Writes the catalogue; with `settle`, as settled if nothing is going on.
    pub(super) fn write_catalogue(self: &Rc<Self>, settle: bool) {
        let engine = Rc::clone(self);
        self.chore(async move {
            let catalogue = {
                let state = &mut *engine.state();
                if !state.site.config.enabled {
                    return;
                }
                if settle {
                    let keeper = &state.keeper;
                    state.catalogue.settled = keeper.writing.is_empty() && keeper.chores_left == 1;
                }
                state.catalogue.clone()
            };
            if let Err(error) = store::put_document(catalogue::DOCUMENT, &catalogue).await
                && !error.is_quota()
            {
                warn(&format!("the catalogue could not be stored: {error}"));
            }
        });
    }

    /// Writes what is remembered of the site.
    pub fn save_site(self: &Rc<Self>) {
        let engine = Rc::clone(self);
        self.chore(async move {
            let site = engine.state().site.clone();
            if !site.config.enabled {
                return;
            }
            if let Err(error) = store::put_document(site::DOCUMENT, &site).await
                && !error.is_quota()
            {
                warn(&format!("the site's settings could not be stored: {error}"));
            }
        });
    }
}
