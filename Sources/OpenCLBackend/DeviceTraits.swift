// What lowering needs to know of a device. A value, so that the source for a device can be printed where there is none.

/// The sizes that kernels are cut to.
package struct DeviceTraits: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case cpu, gpu
    case accelerator
    case other
  }

  package var kind: Kind
  /// Bytes of local memory that one work-group may have.
  package var localBytes: Int
  /// Work-items of the largest work-group.
  package var groupLimit: Int
  /// Bytes of all parameters of a kernel; OpenCL 1.2 promises 1024.
  package var parameterBytes: Int
  /// Lanes of a vector of floats that one work-item should compute with: a power of two up to 16.
  package var vectorWidth: Int
  /// Whether the device computes in double precision, which schedules of optimisers are written in.
  package var hasDouble: Bool

  package init(
    kind: Kind, localBytes: Int, groupLimit: Int, parameterBytes: Int = 1024, vectorWidth: Int,
    hasDouble: Bool
  ) {
    self.kind = kind
    self.localBytes = localBytes
    self.groupLimit = groupLimit
    self.parameterBytes = parameterBytes
    self.vectorWidth = vectorWidth
    self.hasDouble = hasDouble
  }

  /// What sources are printed for where no device is named: a GPU with the least that OpenCL 1.2 promises to most programs.
  package static let gpu = DeviceTraits(
    kind: .gpu, localBytes: 32 << 10, groupLimit: 256, vectorWidth: 4, hasDouble: true)
  /// A processor whose work-items run one after the other on one core.
  package static let cpu = DeviceTraits(
    kind: .cpu, localBytes: 512 << 10, groupLimit: 1024, vectorWidth: 16, hasDouble: true)

  /// A processor runs the items of a group one after the other: it is better off with one item that does the
  /// group's work in vectors, and barriers cost it its registers.
  package var runsItemsInTurn: Bool { kind == .cpu }

  /// How many buffers a kernel can be given: each is a pointer and an index.
  var bufferLimit: Int { max(8, parameterBytes / 16) }

  /// Work-items of a group where each has one element or vector of its own.
  package var itemsPerGroup: Int { min(groupLimit, runsItemsInTurn ? 64 : 256) }
}
