//! From scenes to pictures.

use glam::{Vec2, Vec3, vec2, vec3};
use rayon::prelude::*;

use crate::film::Picture;
use crate::noise::lerp;

/// Where a picture is taken from. x is east, y is up, z is north, in metres.
#[derive(Clone, Copy)]
pub struct Camera {
    /// The place of the lens.
    pub eye: Vec3,
    /// Degrees from north, clockwise.
    pub heading: f32,
    /// Degrees from the left edge to the right.
    pub width: f32,
    /// Where the horizon is: 0 is the top edge, 1 the bottom edge. The lens is
    /// shifted and not tilted, so what stands upright stays upright.
    pub horizon: f32,
}

/// Something to look at: ground, if any, that is a height for each place, and colours.
pub trait Scene: Sync {
    /// Metres of the ground, or the water on it, with no detail finer than `footprint` metres.
    fn height(&self, place: Vec2, footprint: f32) -> f32;
    /// Metres from one look at the ground to the next, `depth` metres away, where a
    /// pixel is `pixel` radians.
    fn stride(&self, depth: f32, pixel: f32) -> f32 {
        (depth * pixel * 5.0).clamp(0.2, 30.0)
    }
    /// Light, linear, that comes along a ray.
    fn colour(&self, ray: &Ray) -> Vec3;
}

/// A ray that left the lens.
pub struct Ray {
    /// The lens.
    pub eye: Vec3,
    /// Unit direction.
    pub dir: Vec3,
    /// Metres to the ground, if it meets the ground.
    pub hit: Option<f32>,
    /// Radians that a pixel takes.
    pub pixel: f32,
    /// A number in `0..1`, other for each ray: where to start when light is
    /// summed up in steps, so that the steps do not show.
    pub dither: f32,
}

impl Ray {
    /// The place at a distance in metres.
    pub fn at(&self, distance: f32) -> Vec3 {
        self.eye + self.dir * distance
    }
}

/// Metres from the nearest to the farthest ground that a picture shows.
pub const REACH: (f32, f32) = (4.0, 70_000.0);

/// Metres.
pub const EARTH_DIAMETER: f32 = 12_742_000.0;

/// Takes a picture of `size` pixels, with `fine` x `fine` rays for each.
pub fn take(scene: &dyn Scene, camera: &Camera, size: (usize, usize), fine: usize) -> Picture {
    let (width, height) = size;
    let columns: Vec<Vec<Vec3>> = (0..width)
        .into_par_iter()
        .map(|x| {
            let mut column = vec![Vec3::ZERO; height];
            for part in 0..fine {
                let rays = column_of_rays(scene, camera, size, fine, x * fine + part);
                for (y, ray) in rays.iter().enumerate() {
                    column[y / fine] += scene.colour(ray).min(Vec3::splat(60.0));
                }
            }
            column
        })
        .collect();
    let share = 1.0 / (fine * fine) as f32;
    Picture::from_fn(width, height, |x, y| columns[x][y] * share)
}

/// All rays of one column lie in one upright plane, so the farther the ray the
/// higher: the ground is walked once for all of them.
fn column_of_rays(
    scene: &dyn Scene,
    camera: &Camera,
    size: (usize, usize),
    fine: usize,
    x: usize,
) -> Vec<Ray> {
    let (width, height) = ((size.0 * fine) as f32, (size.1 * fine) as f32);
    let focal = width * 0.5 / (camera.width.to_radians() * 0.5).tan();
    let (sin, cos) = camera.heading.to_radians().sin_cos();
    let across = (x as f32 + 0.5 - width * 0.5) / focal;
    let flat = vec2(sin, cos) + vec2(cos, -sin) * across;
    let slope = |y: usize| (camera.horizon * height - y as f32 - 0.5) / focal;
    let pixel = 1.0 / focal;

    let mut depths = vec![None; size.1 * fine];
    let mut lowest = depths.len();
    let eye = vec2(camera.eye.x, camera.eye.z);
    let mut z = REACH.0;
    let mut before = (z, f32::NEG_INFINITY);
    while z < REACH.1 && lowest > 0 {
        let ground = scene.height(eye + flat * z, z * pixel) - z * z / EARTH_DIAMETER;
        let rise = (ground - camera.eye.y) / z;
        while lowest > 0 && slope(lowest - 1) <= rise {
            let part = (slope(lowest - 1) - before.1) / (rise - before.1);
            let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 1.0 };
            depths[lowest - 1] = Some(lerp(before.0, z, part));
            lowest -= 1;
        }
        before = (z, rise);
        z += scene.stride(z, pixel);
    }

    depths
        .into_iter()
        .enumerate()
        .map(|(y, depth)| {
            let along = vec3(flat.x, slope(y), flat.y);
            let length = along.length();
            Ray {
                eye: camera.eye,
                dir: along / length,
                hit: depth.map(|z| z * length),
                pixel,
                dither: crate::noise::unit(x as i32, y as i32, 4242),
            }
        })
        .collect()
}
