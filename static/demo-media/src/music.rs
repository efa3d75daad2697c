//! The film's sound: four slow chords and some wind, in a loop.

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::noise::unit;

const RATE: usize = 44_100;

/// Semitones from A2 (110 Hz) of each chord's voices.
const CHORDS: [[f32; 5]; 4] = [
    [-12.0, 3.0, 7.0, 14.0, 19.0],
    [-16.0, 0.0, 8.0, 15.0, 19.0],
    [-9.0, 3.0, 10.0, 14.0, 22.0],
    [-14.0, 2.0, 10.0, 12.0, 17.0],
];

/// Writes a WAV file of `seconds`, 16 bits, stereo.
pub fn write(path: &Path, seconds: usize) -> Result<()> {
    let total = RATE * seconds;
    let wind = &wind(total);
    let samples: Vec<u8> = (0..total)
        .into_par_iter()
        .flat_map_iter(|i| {
            let time = i as f32 / RATE as f32;
            let part = i as f32 / total as f32;
            [-1.0_f32, 1.0]
                .into_iter()
                .flat_map(move |side| {
                    let gust = 0.5 + 0.5 * (TAU * (part * 2.0 + side * 0.07)).sin();
                    let air =
                        wind[(i + if side > 0.0 { 977 } else { 0 }) % total] * (0.3 + 0.7 * gust);
                    let sound = chords(time, part, seconds as f32, side) * 0.085 + air * 0.05;
                    ((sound.tanh() * 32_000.0) as i16).to_le_bytes()
                })
                .collect::<Vec<_>>()
        })
        .collect();
    fs::write(path, [header(samples.len()), samples].concat())
        .with_context(|| format!("writing {}", path.display()))
}

fn chords(time: f32, part: f32, seconds: f32, side: f32) -> f32 {
    let mut sum = 0.0;
    for (k, chord) in CHORDS.iter().enumerate() {
        // Each chord swells and fades into the next, the last into the first.
        let away = (part * 4.0 - k as f32 - 0.5 + 2.0).rem_euclid(4.0) - 2.0;
        if away.abs() >= 1.0 {
            continue;
        }
        let swell = (away * TAU / 4.0).cos().powi(2);
        for (v, semitone) in chord.iter().enumerate() {
            for detune in [-1.0_f32, 0.3, 1.0] {
                let exact = 110.0 * (semitone / 12.0 + detune * 0.0028 * (1.0 + 0.3 * side)).exp2();
                // A whole number of waves in the film, so that its end meets its beginning.
                let pitch = (exact * seconds).round() / seconds;
                let turn = (f64::from(pitch) * f64::from(time)).fract() as f32 * TAU;
                let beat = 0.7 + 0.3 * (TAU * (part * (3 + v) as f32 + 0.13 * detune)).sin();
                let tone = turn.sin() + 0.22 * (2.0 * turn).sin() + 0.06 * (3.0 * turn).sin();
                sum += tone * swell * beat / (1.0 + 0.32 * v as f32);
            }
        }
    }
    sum
}

/// Noise through two slow filters. The filters run once round before they are heard.
fn wind(total: usize) -> Vec<f32> {
    let (mut low, mut lower) = (0.0, 0.0);
    let mut out = vec![0.0; total];
    for i in 0..2 * total {
        let white = unit((i % total) as i32, 0, 4711) * 2.0 - 1.0;
        low += 0.055 * (white - low);
        lower += 0.012 * (low - lower);
        out[i % total] = (low - lower) * 4.0;
    }
    out
}

fn header(bytes: usize) -> Vec<u8> {
    let word = |n: usize| (n as u32).to_le_bytes();
    let half = |n: usize| (n as u16).to_le_bytes();
    let mut header = Vec::new();
    header.extend(b"RIFF");
    header.extend(word(36 + bytes));
    header.extend(b"WAVEfmt ");
    header.extend(word(16));
    header.extend([half(1), half(2)].concat());
    header.extend(word(RATE));
    header.extend(word(RATE * 4));
    header.extend([half(4), half(16)].concat());
    header.extend(b"data");
    header.extend(word(bytes));
    header
}
