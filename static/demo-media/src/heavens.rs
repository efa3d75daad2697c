//! What is beyond the air: stars, the Milky Way, an aurora, a planet with rings.

use glam::{Vec2, Vec3, vec2, vec3};

use crate::air::direction;
use crate::film::Picture;
use crate::noise::{ENDLESS, fbm, gradient, lerp, ridged, smoothstep, unit, warp};

/// Stars in a direction, as discs of about `size` radians.
pub fn stars(dir: Vec3, size: f32, seed: u32) -> Vec3 {
    let a = dir.abs();
    let (face, uv) = if a.x >= a.y && a.x >= a.z {
        (0, vec2(dir.y, dir.z) / dir.x)
    } else if a.y >= a.z {
        (1, vec2(dir.x, dir.z) / dir.y)
    } else {
        (2, vec2(dir.x, dir.y) / dir.z)
    };
    // Many faint ones, few bright ones.
    [(150.0, 0.10, 1.0), (70.0, 0.55, 1.15), (18.0, 5.0, 1.7)]
        .into_iter()
        .enumerate()
        .map(|(layer, (cells, light, wide))| {
            let seed = seed + 10 * layer as u32 + 1000 * face;
            one_star(uv * cells, cells * size * wide, seed) * light
        })
        .sum()
}

fn one_star(p: Vec2, size: f32, seed: u32) -> Vec3 {
    let cell = p.floor();
    let (x, y) = (cell.x as i32, cell.y as i32);
    // A margin keeps the disc inside its cell.
    let margin = (size * 2.0).min(0.4);
    let at = vec2(unit(x, y, seed + 1), unit(x, y, seed + 2)) * (1.0 - 2.0 * margin) + margin;
    let off = (p - cell - at).length() / size;
    if off > 2.5 {
        return Vec3::ZERO;
    }
    let light = unit(x, y, seed + 3).powi(5) + 0.02;
    let warmth = unit(x, y, seed + 4);
    let colour = vec3(0.72, 0.83, 1.0).lerp(vec3(1.0, 0.80, 0.60), warmth * warmth);
    colour * light * (-off * off * 1.6).exp()
}

/// The galaxy, edge on, across the sky; `pole` is the direction away from its disc
/// and `core` the direction to its middle.
pub fn milky_way(dir: Vec3, pole: Vec3, core: Vec3) -> Vec3 {
    let side = pole.cross(core);
    let across = dir.dot(pole);
    let along = dir.dot(side).atan2(dir.dot(core));
    let p = vec2(along * 3.0, across * 6.0);
    let cloud = fbm(warp(p * 1.1, 0.7, 5, 501), 8, 502);
    let band = (-(across / (0.085 + 0.05 * cloud)).powi(2)).exp();
    let halo = (-(across / 0.19).powi(2)).exp();
    let bulge = (-(along * along) / 0.10 - (across / 0.12).powi(2)).exp();
    // Dust: a broken lane along the middle, and threads that leave it.
    let wisp = ridged(warp(vec2(p.x * 0.8, p.y * 0.9), 1.1, 5, 503), 7, 504);
    let lane = (-((across + 0.05 * cloud + 0.012) / 0.045).powi(2)).exp();
    let dust = smoothstep(0.47, 0.76, wisp * 0.72 + 0.22 * lane - 0.10 * cloud);
    let dust = dust * (0.35 + 0.65 * lane.max(bulge * 0.7));
    // Stars too faint and too many to be told apart.
    let dense = (0.62 + 1.25 * cloud).max(0.06);
    let grain = dense * (1.0 + 0.45 * fbm(vec2(along, across) * 260.0, 2, 506));
    let pale = vec3(0.34, 0.46, 0.78) * (0.62 * band + 0.13 * halo) * grain;
    let warm = vec3(1.0, 0.66, 0.38) * bulge * (0.30 + 0.75 * grain);
    let nebula = smoothstep(0.26, 0.44, fbm(p * 2.1 + 5.0, 6, 505)) * band;
    let rosy = vec3(0.85, 0.14, 0.30) * nebula * 0.40;
    (pale + warm + rosy) * vec3(0.84, 0.92, 0.97).map(|v| 1.0 - v * dust)
}

/// Curtains of light.
pub fn aurora(dir: Vec3) -> Vec3 {
    const STEPS: u32 = 70;
    if dir.y < 0.02 {
        return Vec3::ZERO;
    }
    let mut sum = Vec3::ZERO;
    for i in 0..STEPS {
        let up = (i as f32 + 0.5) / STEPS as f32;
        // Kilometres above the ground.
        let height = 95.0 + 190.0 * up * up;
        let p = vec2(dir.x, dir.z) * (height / (dir.y + 0.06)) / 100.0;
        let folded = warp(p * 0.42, 1.15, 3, 702);
        let fold = gradient(folded, ENDLESS, 703) + 0.35 * gradient(folded * 2.1, ENDLESS, 704);
        let curtain = (-(fold / 0.050).powi(2)).exp() + 0.14 * (-(fold / 0.22).powi(2)).exp();
        let rays = 0.55 + 0.75 * fbm(folded * vec2(9.0, 9.0) + fold, 3, 705);
        let broad = smoothstep(-0.25, 0.30, fbm(p * 0.16 + 3.0, 2, 706));
        let foot = smoothstep(0.0, 0.05, up);
        let green = vec3(0.10, 1.0, 0.42) * (-up * 4.2).exp();
        let teal = vec3(0.05, 0.45, 0.62) * 0.45 * (-(up - 0.32).powi(2) * 14.0).exp();
        let violet = vec3(0.62, 0.12, 0.72) * 0.42 * smoothstep(0.22, 0.75, up) * (1.0 - up);
        sum += (green + teal + violet) * curtain * rays.max(0.0) * broad * foot;
    }
    sum * (4.2 / STEPS as f32)
}

/// A part of the sky that is slow to make, made once.
pub struct SkyMap {
    /// Degrees: middle of the part, and from there to its edges.
    heading: f32,
    half: f32,
    map: Picture,
}

impl SkyMap {
    /// The sky as `f` has it, from the horizon to 70 degrees above it, `half` degrees
    /// to both sides of `heading`.
    pub fn of(
        heading: f32,
        half: f32,
        size: (usize, usize),
        f: impl Fn(Vec3) -> Vec3 + Sync,
    ) -> Self {
        let map = Picture::from_fn(size.0, size.1, |x, y| {
            let turn = heading - half + 2.0 * half * x as f32 / size.0 as f32;
            f(direction(turn, TOP * y as f32 / size.1 as f32))
        });
        Self { heading, half, map }
    }

    /// Its light in a direction; outside its edges, that of the edge.
    pub fn at(&self, dir: Vec3) -> Vec3 {
        let turn = dir.x.atan2(dir.z).to_degrees() - self.heading;
        let turn = (turn + 180.0).rem_euclid(360.0) - 180.0;
        let (w, h) = (self.map.width as f32, self.map.height as f32);
        let u = ((turn + self.half) / (2.0 * self.half) * w).clamp(0.0, w - 1.01);
        let v = (dir.y.asin().to_degrees() / TOP * h).clamp(0.0, h - 1.01);
        let (x, y) = (u as usize, v as usize);
        let get = |x: usize, y: usize| self.map.pixels[y * self.map.width + x];
        let (fx, fy) = (u - x as f32, v - y as f32);
        get(x, y).lerp(get(x + 1, y), fx).lerp(get(x, y + 1).lerp(get(x + 1, y + 1), fx), fy)
    }
}

/// Degrees above the horizon at which a [`SkyMap`] ends.
const TOP: f32 = 70.0;

/// A planet with rings.
pub struct Planet {
    /// Unit direction to its middle.
    pub at: Vec3,
    /// Radians from its middle to its edge.
    pub radius: f32,
    /// Unit direction from the planet to the sun.
    pub sun: Vec3,
    /// Unit normal of the rings.
    pub axis: Vec3,
}

impl Planet {
    /// Its light in a direction, and how much it hides of what is behind it.
    pub fn seen(&self, dir: Vec3) -> (Vec3, f32) {
        // Lengths are in planet radii; the planet is in the origin.
        let eye = -self.at / self.radius.sin();
        let towards = dir.dot(-eye);
        let nearest = eye + dir * towards;
        let miss = nearest.length();
        let edge = smoothstep(1.0, 0.994, miss);
        let (mut light, mut hides) = (Vec3::ZERO, 0.0);
        let mut front = f32::INFINITY;
        if miss < 1.0 {
            front = towards - (1.0 - miss * miss).sqrt();
            light = self.ball(eye + dir * front) * edge;
            hides = edge;
        }
        let ring = -eye.dot(self.axis) / dir.dot(self.axis);
        let p = eye + dir * ring;
        if ring > 0.0 && (ring < front || edge < 1.0) {
            let dense = rings(p.length());
            // The planet's shadow on its rings.
            let behind = p.dot(self.sun);
            let off = (p - self.sun * behind).length();
            let sun = if behind < 0.0 { smoothstep(0.985, 1.03, off) } else { 1.0 };
            let grain = 0.85 + 0.3 * unit((p.length() * 900.0) as i32, 0, 81);
            let colour = vec3(1.0, 0.86, 0.70) * (0.03 + 0.75 * sun) * grain;
            let share = if ring < front { dense } else { dense * (1.0 - edge) };
            light = light * (1.0 - share) + colour * share;
            hides = hides + share - hides * share;
        }
        // A thin air around the ball.
        let air = (-((miss - 1.0).max(0.0) / 0.018)).exp() * (1.0 - edge);
        let day = (nearest.normalize().dot(self.sun) * 0.8 + 0.25).max(0.0);
        light += vec3(0.55, 0.62, 0.9) * air * day * 0.35 * (1.0 - hides);
        (light, hides)
    }

    fn ball(&self, p: Vec3) -> Vec3 {
        let latitude = p.dot(self.axis);
        let east = self.axis.cross(vec3(0.3, 1.0, 0.2)).normalize();
        // Not an angle: only one half is ever seen, and an angle has a seam.
        let longitude = p.dot(east) * 1.6;
        let q = vec2(longitude * 1.5, latitude * 6.0);
        let eddy = warp(q, 0.5, 4, 801) - q;
        let band =
            fbm(vec2(longitude * 0.12 + 0.4 * eddy.x, latitude * 7.0 + 0.9 * eddy.y), 5, 802);
        let fine = fbm(vec2(longitude * 0.8 + eddy.x, latitude * 34.0 + 1.3 * eddy.y), 4, 803);
        let t = (0.5 + 0.9 * band + 0.35 * fine).clamp(0.0, 1.0);
        let colour = vec3(0.62, 0.33, 0.22)
            .lerp(vec3(0.95, 0.74, 0.52), smoothstep(0.1, 0.6, t))
            .lerp(vec3(0.98, 0.92, 0.84), smoothstep(0.6, 1.0, t));
        let facing = p.dot(self.sun);
        let day = smoothstep(-0.08, 0.35, facing) * facing.max(0.0).powf(0.6);
        // The rings' shadow on the planet.
        let to_ring = -p.dot(self.axis) / self.sun.dot(self.axis);
        let shade =
            if to_ring > 0.0 { rings((p + self.sun * to_ring).length()) * 0.75 } else { 0.0 };
        colour * (day * (1.0 - shade) * 1.25 + 0.006)
    }
}

/// How dense the rings are, 0 to 1, at a distance in planet radii.
fn rings(r: f32) -> f32 {
    let inside = smoothstep(1.28, 1.34, r) * smoothstep(2.42, 2.38, r);
    if inside == 0.0 {
        return 0.0;
    }
    let gap = 1.0 - 0.93 * smoothstep(2.00, 2.012, r) * smoothstep(2.10, 2.088, r);
    let dim = lerp(0.28, 1.0, smoothstep(1.52, 1.60, r));
    let fine = 0.5 + 0.5 * fbm(vec2(r * 26.0, 0.5), 6, 811) * 1.6;
    let outer = lerp(1.0, 0.72, smoothstep(2.1, 2.13, r));
    inside * gap * dim * outer * fine.clamp(0.05, 1.0)
}
