//! What a browser costs its machine. Linux tells it of each process of a group.

use std::time::Duration;

use anyhow::Result;
use procfs::process::{Process, all_processes};

/// Sums over all processes of a browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on the processors so far, of the processes that there are.
    pub cpu: Duration,
    /// Bytes of memory at each process's own peak, pages that several of them share
    /// counted for each.
    pub peak_memory: u64,
}

impl Usage {
    /// Of the processes whose group is `leader`'s.
    ///
    /// # Errors
    /// If there is no `/proc`.
    pub fn of_group(leader: i32) -> Result<Self> {
        let mut sum = Self::default();
        // One that ends meanwhile is not there any more.
        for process in all_processes()?.flatten() {
            if let Some(one) = of_member(&process, leader) {
                sum.cpu += one.cpu;
                sum.peak_memory += one.peak_memory;
            }
        }
        Ok(sum)
    }
}

fn of_member(process: &Process, leader: i32) -> Option<Usage> {
    let stat = process.stat().ok().filter(|stat| stat.pgrp == leader)?;
    let ticks = stat.utime + stat.stime;
    let cpu = Duration::from_millis(ticks * 1000 / procfs::ticks_per_second());
    let peak_memory = process.status().ok()?.vmhwm.unwrap_or_default() * 1024;
    Some(Usage { cpu, peak_memory })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn this_very_process_costs_something() {
        let group = Process::myself().unwrap().stat().unwrap().pgrp;
        assert!(Usage::of_group(group).unwrap().peak_memory > 0);
        // No process has a negative number.
        assert_eq!(Usage::of_group(-7).unwrap(), Usage::default());
    }
}
