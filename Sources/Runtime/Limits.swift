// What a device can do at most, measured on the spot: the scale that times of kernels are read on.

import Basics

/// A backend that can measure its device. Results are those of the backend's own threads and
/// instruction set.
package protocol LimitMeasuring: AnyObject {
  /// The rate of f32 multiply-adds on registers alone, two operations each, in operations a second:
  /// the best of several short tries.
  func measureArithmetic() throws(EnvironmentFailure) -> Double
  /// The rate of x[i] = y[i] + s·z[i] on arrays that do not fit the caches, in bytes read and
  /// written a second: the best of several tries. Takes memory of about a hundred megabytes or more.
  func measureBandwidth() throws(EnvironmentFailure) -> Double
}
