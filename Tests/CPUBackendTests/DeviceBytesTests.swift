// Arrays that are filled with what a device holds.

import Basics
import Runtime
import TestSupport
import Testing

@Suite struct DeviceBytesTests {
  @Test func allBytesAreThoseThatWereRead() throws {
    let floats: [Float] = try deviceBytes(count: 3) { bytes in
      bytes.copyBytes(from: [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64])
    }
    #expect(floats == [1, 2, 3])
    let none: [UInt8] = try deviceBytes(count: 0) { #expect($0.isEmpty) }
    #expect(none == [])
  }

  @Test func aFailureOfTheDeviceIsThrown() {
    expectFailure("the device is gone") {
      let _: [Float] = try deviceBytes(count: 3) { _ throws(EnvironmentFailure) in
        throw EnvironmentFailure("the device is gone")
      }
    }
  }
}
