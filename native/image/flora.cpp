#include "flora.h"

#include <algorithm>
#include <cmath>

#include "../core/random.h"

namespace protea::image {
namespace {

constexpr double pi = 3.14159265358979323846;

struct Colour {
  double r, g, b;
};

Colour from_hue(double hue, double saturation, double value) {
  auto channel = [&](double n) {
    double k = std::fmod(n + 6 * hue, 6.0);
    return value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0));
  };
  return {channel(5), channel(3), channel(1)};
}

Colour mix(Colour a, Colour b, double t) {
  return {a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

// What all flowers of a class share.
struct Species {
  int petals;
  double width, notch, rings, heart;
  Colour petal, tip, centre;

  Species(uint64_t seed, uint32_t label) {
    Philox random({seed, 0, label, purpose::procedural});
    petals = 3 + static_cast<int>(random.below(10));
    width = random.uniform(0.5, 1.6);
    notch = random.uniform(0, 0.5);
    rings = random.chance(0.4) ? random.uniform(4, 10) : 0;
    heart = random.uniform(0.12, 0.35);
    double hue = random.uniform();
    petal = from_hue(hue, random.uniform(0.3, 0.95), random.uniform(0.6, 1));
    tip = from_hue(hue + random.uniform(-0.15, 0.15) + 1, random.uniform(0.2, 0.9), 1);
    centre = from_hue(random.uniform(), random.uniform(0.4, 1), random.uniform(0.2, 1));
  }
};

// How one flower stands in its picture.
struct Pose {
  double x, y, radius, turn, squash, light, grain;
  Colour ground_low, ground_high;

  explicit Pose(Philox& random)
      : x(random.uniform(0.35, 0.65)),
        y(random.uniform(0.35, 0.65)),
        radius(random.uniform(0.25, 0.48)),
        turn(random.uniform(0, 2 * pi)),
        squash(random.uniform(0.7, 1)),
        light(random.uniform(0.75, 1.15)),
        grain(random.uniform(0.01, 0.06)),
        ground_low(from_hue(random.uniform(0.2, 0.45), random.uniform(0.2, 0.8),
                            random.uniform(0.1, 0.5))),
        ground_high(from_hue(random.uniform(0.2, 0.6), random.uniform(0.1, 0.6),
                             random.uniform(0.3, 0.8))) {}
};

// The colour at polar coordinates, and how much of it covers the ground.
struct Paint {
  Colour colour;
  double cover;
};

Paint paint(const Species& species, double radius, double angle) {
  double wave = std::fabs(std::cos(0.5 * species.petals * angle));
  double edge = std::pow(wave, species.width) * (1 - species.notch * std::pow(wave, 12));
  edge = 0.35 + 0.65 * edge;
  double cover = std::clamp((edge - radius) * 12, 0.0, 1.0);
  Colour colour = mix(species.petal, species.tip, std::clamp(radius / edge, 0.0, 1.0));
  if (species.rings > 0)
    colour =
        mix(colour, species.centre, 0.35 * (0.5 + 0.5 * std::cos(species.rings * radius * pi)));
  double inside = std::clamp((species.heart - radius) * 16, 0.0, 1.0);
  return {mix(colour, species.centre, inside), std::max(cover, inside)};
}

uint8_t level(double value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0, 1.0) * 255 + 0.5);
}

}  // namespace

Picture<uint8_t> flora(uint64_t seed, uint32_t label, uint32_t sample, int size) {
  Species species(seed, label);
  Philox random({seed, 1 + label, sample, purpose::procedural});
  Pose pose(random);
  double wind_x = random.uniform(2, 7), wind_y = random.uniform(2, 7), phase = random.uniform(0, 6);
  Picture<uint8_t> picture(size, size);
  for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++) {
      double u = (column + 0.5) / size, v = (row + 0.5) / size;
      double dx = (u - pose.x) / pose.radius, dy = (v - pose.y) / (pose.radius * pose.squash);
      double leaves =
          0.5 + 0.5 * std::sin(wind_x * u * 3 + phase) * std::cos(wind_y * v * 3 - phase);
      Paint flower = paint(species, std::hypot(dx, dy), std::atan2(dy, dx) + pose.turn);
      Colour colour =
          mix(mix(pose.ground_low, pose.ground_high, leaves), flower.colour, flower.cover);
      double noise = pose.grain * (random.uniform() + random.uniform() - 1) * 1.7;
      uint8_t* to = picture.at(row, column);
      to[0] = level(colour.r * pose.light + noise);
      to[1] = level(colour.g * pose.light + noise);
      to[2] = level(colour.b * pose.light + noise);
    }
  return picture;
}

}  // namespace protea::image
