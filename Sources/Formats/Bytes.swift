// Small helpers that all formats share: integers of either byte order, products of sizes that
// cannot overflow, and a check that memory can be had before an array is asked for.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The largest file, and the largest uncompressed content, that is accepted unless a caller says
/// otherwise: 16 GiB.
package let defaultFileLimit = 16 << 30

extension [UInt8] {
  // The integers that stand at `offset`; the caller has checked that they do.
  func bigEndian32(at offset: Int) -> UInt32 { UInt32(bigEndian: raw(at: offset)) }
  func littleEndian16(at offset: Int) -> UInt16 { UInt16(littleEndian: raw(at: offset)) }
  func littleEndian32(at offset: Int) -> UInt32 { UInt32(littleEndian: raw(at: offset)) }
  func littleEndian64(at offset: Int) -> UInt64 { UInt64(littleEndian: raw(at: offset)) }

  private func raw<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer {
    withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Integer.self) }
  }

  mutating func appendBigEndian(_ value: UInt32) { appendRaw(value.bigEndian) }
  mutating func appendLittleEndian(_ value: UInt16) { appendRaw(value.littleEndian) }
  mutating func appendLittleEndian(_ value: UInt32) { appendRaw(value.littleEndian) }
  mutating func appendLittleEndian(_ value: UInt64) { appendRaw(value.littleEndian) }

  private mutating func appendRaw(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
  }

  /// Whether `prefix` stands at `offset`.
  func has(_ prefix: [UInt8], at offset: Int = 0) -> Bool {
    guard offset >= 0, count - offset >= prefix.count else { return false }
    for i in prefix.indices where self[offset + i] != prefix[i] { return false }
    return true
  }
}

extension Array where Element: BitwiseCopyable {
  /// A copy of raw memory as elements; bytes beyond a whole number of elements are left out.
  init(copying bytes: UnsafeRawBufferPointer) {
    let count = bytes.count / MemoryLayout<Element>.stride
    self.init(unsafeUninitializedCapacity: count) { buffer, initialized in
      if count > 0, let target = buffer.baseAddress, let source = bytes.baseAddress {
        UnsafeMutableRawPointer(target)
          .copyMemory(from: source, byteCount: count * MemoryLayout<Element>.stride)
      }
      initialized = count
    }
  }

  /// The bytes of the elements in the machine's (little-endian) order.
  var rawBytes: [UInt8] { withUnsafeBytes { [UInt8](copying: $0) } }
}

/// The product of sizes, or nil where one is negative or the product does not fit. A zero among
/// them makes it zero, whatever the others are.
func checkedProduct(_ sizes: [Int], times width: Int = 1) -> Int? {
  if sizes.contains(where: { $0 < 0 }) { return nil }
  if sizes.contains(0) { return 0 }
  var product = width
  for size in sizes {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    if overflow { return nil }
    product = next
  }
  return product
}

/// Fails where `count` bytes cannot be had. An array that cannot be allocated would end the
/// process; here it becomes an error that names the file.
func requireMemory(_ count: Int, for name: String) throws(EnvironmentFailure) {
  guard count > 1 << 20 else { return }
  guard let memory = malloc(count) else {
    throw EnvironmentFailure("\(name): not enough memory: \(count) bytes are needed")
  }
  free(memory)
}

// The system calls under names that methods of this module do not hide.
func systemRead(_ file: Int32, _ target: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(file, target, count)
}
@discardableResult func systemClose(_ file: Int32) -> Int32 { close(file) }

/// The shape as users see it: `[60000, 28, 28]`.
func shapeText(_ shape: [Int]) -> String {
  "[" + shape.map(String.init).joined(separator: ", ") + "]"
}
