//! A sand sea.

use glam::{Vec2, Vec3, vec2, vec3};

use crate::air::Air;
use crate::camera::{Ray, Scene};
use crate::noise::{ENDLESS, fbm, gradient, lerp, smoothstep, warp};

/// Dunes in a light.
pub struct Dunes {
    /// The light.
    pub air: Air,
}

impl Dunes {
    fn normal(&self, p: Vec2, footprint: f32) -> Vec3 {
        let e = footprint.max(0.25);
        let rise = |d: Vec2| sand(p + d) - sand(p - d);
        vec3(-rise(vec2(e, 0.0)), 2.0 * e, -rise(vec2(0.0, e))).normalize()
    }

    /// How much of the sun a place sees.
    fn lit(&self, p: Vec3) -> f32 {
        let mut light = 1.0_f32;
        let mut distance = 2.0;
        while distance < 1500.0 {
            let q = p + self.air.sun * distance;
            let clear = q.y - sand(vec2(q.x, q.z));
            light = light.min(0.5 + clear / distance * 55.0);
            if light <= 0.0 {
                return 0.0;
            }
            distance += clear.max(distance * 0.03).max(1.0);
        }
        smoothstep(0.0, 1.0, light)
    }
}

impl Scene for Dunes {
    fn height(&self, place: Vec2, _footprint: f32) -> f32 {
        sand(place)
    }

    fn colour(&self, ray: &Ray) -> Vec3 {
        let Some(distance) = ray.hit else { return self.air.sky(ray.dir) };
        let p = ray.at(distance);
        let place = vec2(p.x, p.z);
        let footprint = distance * ray.pixel;
        let smooth = self.normal(place, footprint);

        // Ripples of the wind, where they are large enough to be seen.
        let along = warp(place / 7.0, 0.75, 2, 951) * 7.0;
        let wave = (along.dot(vec2(0.83, 0.56)) * 3.4 + 2.0 * fbm(place / 2.5, 2, 952)).sin();
        let seen = smoothstep(0.30, 0.06, footprint) * smoothstep(0.50, 0.86, smooth.y);
        let tilt = vec3(0.83, 0.0, 0.56) * wave * 0.13 * seen;
        let normal = (smooth + tilt).normalize();

        let tint = 0.5 + 0.5 * fbm(place / 170.0, 4, 953);
        let mut albedo = vec3(0.66, 0.34, 0.15).lerp(vec3(0.78, 0.47, 0.25), tint);
        let speck = gradient(place / 0.35, ENDLESS, 954);
        albedo *= 1.0 + 0.10 * speck * smoothstep(0.5, 0.1, footprint);

        let facing = normal.dot(self.air.sun).max(0.0).powf(0.9);
        let sun = self.air.sunlight * facing * self.lit(p + smooth * 0.4);
        // Sand lights the sand across the hollow.
        let bounce = self.air.sunlight * albedo * 0.10 * (1.0 - smooth.y * 0.6);
        let hollow = lerp(0.65, 1.0, smoothstep(-10.0, 70.0, p.y));
        let light = albedo * (sun + bounce + self.air.ambient(normal) * hollow);
        self.air.through(ray.eye, ray.dir, distance, light)
    }
}

/// Metres of sand.
pub fn sand(p: Vec2) -> f32 {
    let large = ridge(p, vec2(0.94, 0.34), 760.0, 0.9, 960);
    let swell = 0.55 + 0.9 * fbm(p / 2100.0, 3, 961);
    let small = ridge(p, vec2(0.60, 0.80), 190.0, 0.8, 970);
    let base = 60.0 * fbm(p / 3000.0, 3, 962);
    let height = 105.0 * large * swell.clamp(0.15, 1.4);
    // Small dunes ride on the windward backs and die towards the crests.
    let ride = smoothstep(0.85, 0.25, large) * (0.5 + 0.8 * fbm(p / 500.0, 2, 963)).clamp(0.0, 1.0);
    height + base + 15.0 * small * ride
}

/// Crests across the wind: a long rise, a sharp edge and a short fall, 0 to 1.
fn ridge(p: Vec2, wind: Vec2, length: f32, winding: f32, seed: u32) -> f32 {
    const CREST: f32 = 0.70;
    let bent = winding * fbm(p / (length * 1.9), 4, seed);
    let phase = p.dot(wind) / length + bent;
    let t = phase - phase.floor();
    if t < CREST {
        let t = t / CREST;
        t * t * (1.6 - 0.6 * t)
    } else {
        let t = (1.0 - t) / (1.0 - CREST);
        // The slip face: straight, with a soft foot.
        t * smoothstep(-0.6, 0.5, t)
    }
}
