//! Sky, sun and the air between things.

use glam::{Vec3, vec3};

use crate::noise::smoothstep;

/// The light of one moment.
#[derive(Clone)]
pub struct Air {
    /// Unit direction to the sun or the moon.
    pub sun: Vec3,
    /// Its light.
    pub sunlight: Vec3,
    /// Sky straight above.
    pub zenith: Vec3,
    /// Sky at the horizon, away from the sun.
    pub horizon: Vec3,
    /// Light that the air adds around the sun.
    pub glow: Vec3,
    /// How fast the horizon's colour gives way to the zenith's; about 2 to 8.
    pub gradient: f32,
    /// Extinction per metre at height 0.
    pub haze: f32,
    /// Metres in which the haze thins by the factor e.
    pub haze_height: f32,
    /// Whether the sun's disc is drawn.
    pub disc: bool,
}

/// A direction from degrees: heading from north clockwise, height above the horizon.
pub fn direction(heading: f32, height: f32) -> Vec3 {
    let (heading, height) = (heading.to_radians(), height.to_radians());
    vec3(heading.sin() * height.cos(), height.sin(), heading.cos() * height.cos())
}

impl Air {
    /// The clear sky in a direction.
    pub fn sky(&self, dir: Vec3) -> Vec3 {
        let mut light = self.veil(dir);
        if self.disc {
            let off = 1.0 - dir.dot(self.sun);
            light += self.sunlight * 6.0 * smoothstep(4.2e-5, 3.0e-5, off);
        }
        light
    }

    /// The clear sky without the sun's disc.
    pub fn veil(&self, dir: Vec3) -> Vec3 {
        let near = dir.dot(self.sun).max(0.0);
        self.airlight(dir) + self.glow * (0.30 * near.powi(90) + 1.1 * near.powi(900))
    }

    /// Light from a distance, after the air on its way.
    pub fn through(&self, eye: Vec3, dir: Vec3, distance: f32, light: Vec3) -> Vec3 {
        let depth = self.depth(eye, dir, distance);
        // Blue goes first, and comes back first.
        let left = (vec3(0.72, 0.95, 1.3) * -depth).map(f32::exp);
        light * left + self.airlight(dir) * (Vec3::ONE - left)
    }

    /// The colour that far things turn to: the sky's, without what is bright only close to the sun.
    pub fn airlight(&self, dir: Vec3) -> Vec3 {
        let up = dir.y.max(0.0);
        let base = self.zenith + (self.horizon - self.zenith) * (-up * self.gradient).exp();
        let near = dir.dot(self.sun).max(0.0);
        base + self.glow * (0.16 * near.powi(3) + 0.34 * near.powi(14)) * (-up * 5.0).exp()
    }

    /// Optical depth of the haze on the way.
    fn depth(&self, eye: Vec3, dir: Vec3, distance: f32) -> f32 {
        let start = self.haze * (-eye.y / self.haze_height).exp();
        let rise = dir.y * distance / self.haze_height;
        let mean = if rise.abs() < 1e-3 { 1.0 } else { (1.0 - (-rise).exp()) / rise };
        start * distance * mean
    }

    /// Light from the whole sky on ground with a normal.
    pub fn ambient(&self, normal: Vec3) -> Vec3 {
        let up = 0.5 + 0.5 * normal.y;
        let away = 0.5 + 0.5 * vec3(normal.x, 0.0, normal.z).dot(self.sun);
        self.horizon * 0.3 * (1.0 - up)
            + (self.zenith * 0.6 + self.horizon * 0.4) * up
            + self.glow * 0.05 * away
    }
}
