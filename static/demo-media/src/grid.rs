//! A square field of numbers on a torus.

use glam::{Vec2, vec2};
use rayon::prelude::*;

use crate::noise::lerp;

/// `n` x `n` samples, `cell` metres apart, that repeat in both directions.
/// `n` is a power of two.
#[derive(Clone)]
pub struct Grid {
    /// Samples in a row.
    pub n: usize,
    /// Metres between samples.
    pub cell: f32,
    /// Row by row; x runs along a row.
    pub data: Vec<f32>,
}

impl Grid {
    /// A grid filled by a function of column and row.
    pub fn from_fn(n: usize, cell: f32, f: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let data = (0..n * n).into_par_iter().map(|i| f(i % n, i / n)).collect();
        Self { n, cell, data }
    }

    /// The sample at a column and row, both taken round the torus.
    pub fn at(&self, x: i32, y: i32) -> f32 {
        let mask = self.n as i32 - 1;
        self.data[(y & mask) as usize * self.n + (x & mask) as usize]
    }

    /// The value at a place in metres, by straight lines between samples.
    pub fn linear(&self, p: Vec2) -> f32 {
        let p = p / self.cell;
        let c = p.floor();
        let f = p - c;
        let (x, y) = (c.x as i32, c.y as i32);
        lerp(
            lerp(self.at(x, y), self.at(x + 1, y), f.x),
            lerp(self.at(x, y + 1), self.at(x + 1, y + 1), f.x),
            f.y,
        )
    }

    /// The value at a place in metres, by cubic B-splines: smooth to the second derivative.
    pub fn smooth(&self, p: Vec2) -> f32 {
        let p = p / self.cell;
        let c = p.floor();
        let (wx, wy) = (spline(p.x - c.x), spline(p.y - c.y));
        let mask = self.n as i32 - 1;
        let columns = [-1, 0, 1, 2].map(|d| ((c.x as i32 + d) & mask) as usize);
        let mut sum = 0.0;
        for (dy, wy) in wy.into_iter().enumerate() {
            let row =
                &self.data[((c.y as i32 + dy as i32 - 1) & mask) as usize * self.n..][..self.n];
            sum += wy
                * (wx[0] * row[columns[0]]
                    + wx[1] * row[columns[1]]
                    + wx[2] * row[columns[2]]
                    + wx[3] * row[columns[3]]);
        }
        sum
    }

    /// The same field with twice the samples in each direction.
    pub fn doubled(&self) -> Self {
        let cell = self.cell * 0.5;
        Self::from_fn(self.n * 2, cell, |x, y| self.smooth(vec2(x as f32, y as f32) * cell))
    }

    /// The mean over squares of `2 * radius + 1` samples, twice: a soft blur.
    pub fn blurred(&self, radius: usize) -> Self {
        let mut grid = self.clone();
        for _ in 0..4 {
            // One direction at a time; transposing swaps them.
            grid = grid.row_means(radius).transposed();
        }
        grid
    }

    fn row_means(&self, radius: usize) -> Self {
        let (n, mask) = (self.n, self.n - 1);
        let width = (2 * radius + 1) as f64;
        let mut data = vec![0.0; n * n];
        data.par_chunks_mut(n).zip(self.data.par_chunks(n)).for_each(|(out, row)| {
            let mut sum: f64 =
                (0..=2 * radius).map(|i| f64::from(row[(n * 2 + i - radius) & mask])).sum();
            for x in 0..n {
                out[x] = (sum / width) as f32;
                sum += f64::from(row[(x + radius + 1) & mask]);
                sum -= f64::from(row[(n * 2 + x - radius) & mask]);
            }
        });
        Self { n, cell: self.cell, data }
    }

    fn transposed(&self) -> Self {
        Self::from_fn(self.n, self.cell, |x, y| self.data[x * self.n + y])
    }
}

fn spline(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    [
        s * s * s / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
        (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
        t * t * t / 6.0,
    ]
}
