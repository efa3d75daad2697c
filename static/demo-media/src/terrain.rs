//! Mountains that rivers have carved.
//!
//! A range rises slowly while water cuts it down: the stream power law, solved
//! implicitly from the outlets upwards (Braun and Willett, "A very efficient
//! O(n), implicit and parallel method to solve the stream power equation",
//! Geomorphology 2013), on grids of growing fineness. Slopes steeper than loose
//! rock can hold fall down. Noise alone never makes valleys that join.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use glam::{Vec2, Vec3, vec2, vec3};

use crate::grid::Grid;
use crate::noise::{fbm_on, gradient, smoothstep, unit};

const CELLS: usize = 2048;
const CELL_METRES: f32 = 24.0;
/// Metres after which the country repeats.
pub const SPAN: f32 = CELLS as f32 * CELL_METRES;

/// The country that most of the pictures were taken in.
pub struct Terrain {
    height: Grid,
    /// Rise over run, which decides how rough the ground is.
    slope: Grid,
    /// How far above (positive) or below its surroundings the ground lies, in metres.
    standing: Grid,
}

impl Terrain {
    /// Lets the mountains rise and wear down. Takes some ten seconds.
    pub fn new(seed: u32) -> Self {
        let mut height =
            Grid::from_fn(CELLS / 8, CELL_METRES * 8.0, |x, y| unit(x as i32, y as i32, seed));
        for (level, epochs) in [(0, 90), (1, 30), (2, 12), (3, 4)] {
            if level > 0 {
                height = height.doubled();
                let (cell, n) = (height.cell, height.n);
                for (i, h) in height.data.iter_mut().enumerate() {
                    *h += cell * 0.04 * unit((i % n) as i32, (i / n) as i32, seed + level);
                }
            }
            let uplift = uplift(&height, seed);
            let strength = strength(&height, seed);
            for epoch in 0..epochs {
                wear(&mut height, &uplift, &strength, seed.wrapping_add(epoch));
            }
        }
        let height = Grid::from_fn(CELLS, CELL_METRES, |x, y| {
            height.smooth(bend(vec2(x as f32, y as f32) * CELL_METRES))
        });
        let slope = Grid::from_fn(CELLS, CELL_METRES, |x, y| {
            let (x, y) = (x as i32, y as i32);
            let dx = height.at(x + 1, y) - height.at(x - 1, y);
            let dy = height.at(x, y + 1) - height.at(x, y - 1);
            dx.hypot(dy) / (2.0 * CELL_METRES)
        })
        .blurred(1);
        let (near, far) = (height.blurred(5), height.blurred(24));
        let standing = Grid::from_fn(CELLS, CELL_METRES, |x, y| {
            let i = y * CELLS + x;
            height.data[i] - 0.5 * (near.data[i] + far.data[i])
        });
        Self { height, slope, standing }
    }

    /// Metres above the lakes at a place, with no detail finer than `footprint` metres.
    pub fn height(&self, p: Vec2, footprint: f32) -> f32 {
        self.height.smooth(p) + self.roughness(p, footprint)
    }

    /// The unit normal at a place.
    pub fn normal(&self, p: Vec2, footprint: f32) -> Vec3 {
        let e = footprint.max(0.5);
        let rise = |d: Vec2| self.height(p + d, footprint) - self.height(p - d, footprint);
        vec3(-rise(vec2(e, 0.0)), 2.0 * e, -rise(vec2(0.0, e))).normalize()
    }

    /// Metres above its surroundings.
    pub fn standing(&self, p: Vec2) -> f32 {
        self.standing.linear(p)
    }

    /// The height in metres above which the sun is seen, everywhere.
    pub fn shadow(&self, sun: Vec3) -> Grid {
        let flat = vec2(sun.x, sun.z);
        let (toward, fall) = (flat.normalize(), sun.y / flat.length());
        let mut shadow = self.height.clone();
        let mut step = CELL_METRES;
        // Each pass looks twice as far as all before it together.
        while step < SPAN / 4.0 {
            shadow = Grid::from_fn(CELLS, CELL_METRES, |x, y| {
                let p = vec2(x as f32, y as f32) * CELL_METRES;
                let here = shadow.data[y * CELLS + x];
                here.max(shadow.linear(p + toward * step) - fall * step)
            });
            step *= 2.0;
        }
        shadow
    }

    fn roughness(&self, p: Vec2, footprint: f32) -> f32 {
        let steep = smoothstep(0.05, 0.7, self.slope.linear(p));
        let mut size = CELL_METRES * 4.0;
        let mut mask = CELLS as i32 / 4 - 1;
        let mut sum = 0.0;
        let mut octave = 0;
        while size > footprint && octave < 8 {
            let fade = (size / footprint - 1.0).min(1.0);
            let n = gradient(p / size, mask, 900 + octave);
            // Creases high up, lumps low down.
            sum += fade * size * (0.35 - n.abs()) * 0.22;
            size *= 0.5;
            mask = mask * 2 + 1;
            octave += 1;
        }
        sum * (0.02 + 0.98 * steep)
    }
}

/// Hides that water on a grid prefers eight directions.
fn bend(p: Vec2) -> Vec2 {
    let size = CELL_METRES * 16.0;
    let mask = CELLS as i32 / 16 - 1;
    p + CELL_METRES
        * 3.0
        * vec2(fbm_on(p / size, 3, mask, 71), fbm_on(p / size + vec2(0.37, 0.71), 3, mask, 72))
}

/// Where the ground rises, 0 to 1; 0 is where water ends: lakes.
fn uplift(grid: &Grid, seed: u32) -> Grid {
    let size = SPAN / 4.0;
    Grid::from_fn(grid.n, grid.cell, |x, y| {
        let p = vec2(x as f32, y as f32) * grid.cell;
        let n = fbm_on(p / size + 0.5, 6, 3, seed + 40);
        smoothstep(-0.16, 0.30, n).powf(1.2)
    })
}

/// Steepest slope that the rock can hold.
fn strength(grid: &Grid, seed: u32) -> Grid {
    let size = SPAN / 16.0;
    Grid::from_fn(grid.n, grid.cell, |x, y| {
        let p = vec2(x as f32, y as f32) * grid.cell;
        1.15 + 0.6 * fbm_on(p / size, 4, 15, seed + 50)
    })
}

/// One epoch of rain.
fn wear(height: &mut Grid, uplift: &Grid, strength: &Grid, seed: u32) {
    /// Years.
    const EPOCH: f32 = 2.5e5;
    /// Metres per year where the ground rises fastest.
    const RISE: f32 = 1.4e-3;
    /// Erodibility, for drainage areas in square metres to the power 1/2.
    const ERODE: f32 = 1.9e-6;

    let (n, cell) = (height.n, height.cell);
    let order = outlets_first(height, uplift);
    let receiver: Vec<(u32, f32)> = receivers(height, &order, seed);
    let mut area = vec![cell * cell; n * n];
    for &i in order.iter().rev() {
        let (to, _) = receiver[i as usize];
        if to != i {
            area[to as usize] += area[i as usize];
        }
    }
    for &i in &order {
        let i = i as usize;
        let (to, distance) = receiver[i];
        if to as usize == i {
            height.data[i] = 0.0;
            continue;
        }
        let below = height.data[to as usize];
        let cut = ERODE * EPOCH * area[i].sqrt() / distance;
        let raised = height.data[i] + EPOCH * RISE * uplift.data[i];
        let worn = (raised + cut * below) / (1.0 + cut);
        height.data[i] = worn.min(below + strength.data[i] * distance);
    }
}

/// Each cell after one that it drains to, with hollows filled to their brim
/// (priority flood). The order of equal heights is by index, so it is always the same.
fn outlets_first(height: &mut Grid, uplift: &Grid) -> Vec<u32> {
    let n = height.n;
    let mut seen = vec![false; n * n];
    let mut queue = BinaryHeap::new();
    for (i, seen) in seen.iter_mut().enumerate() {
        if uplift.data[i] == 0.0 {
            height.data[i] = 0.0;
            *seen = true;
            queue.push(Reverse((0_u32, i as u32)));
        }
    }
    let mut order = Vec::with_capacity(n * n);
    while let Some(Reverse((_, i))) = queue.pop() {
        order.push(i);
        let brim = height.data[i as usize] + 1e-3;
        for (j, _) in neighbours(i, n) {
            let j = j as usize;
            if !seen[j] {
                seen[j] = true;
                height.data[j] = height.data[j].max(brim);
                // Bits of a non-negative float sort as the float does.
                queue.push(Reverse((height.data[j].to_bits(), j as u32)));
            }
        }
    }
    order
}

/// Where each cell's water goes, and how far: down the steepest way, with a
/// little chance in it. A cell that goes nowhere is a lake.
fn receivers(height: &Grid, order: &[u32], seed: u32) -> Vec<(u32, f32)> {
    let n = height.n;
    let mut receivers = vec![(0, 0.0); n * n];
    for &i in order {
        let here = height.data[i as usize];
        let mut best = (i, height.cell);
        let mut steepest = 0.0;
        for (j, distance) in neighbours(i, n) {
            let distance = distance * height.cell;
            let chance = 0.75 + 0.5 * unit(i as i32, j as i32, seed);
            let slope = (here - height.data[j as usize]) / distance * chance;
            if slope > steepest {
                steepest = slope;
                best = (j, distance);
            }
        }
        receivers[i as usize] = best;
    }
    receivers
}

fn neighbours(i: u32, n: usize) -> impl Iterator<Item = (u32, f32)> {
    const AROUND: [(i32, i32); 8] =
        [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)];
    let mask = n as i32 - 1;
    let (x, y) = (i as i32 & mask, i as i32 / n as i32);
    AROUND.into_iter().map(move |(dx, dy)| {
        let j = ((y + dy) & mask) * n as i32 + ((x + dx) & mask);
        (j as u32, if dx != 0 && dy != 0 { std::f32::consts::SQRT_2 } else { 1.0 })
    })
}
