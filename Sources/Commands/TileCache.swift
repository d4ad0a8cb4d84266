// Tiles that were tuned, in the user's cache folder: one small file for each device, driver and version of the kernels. A file
// that is not there, or is not one of ours, is as if nothing had been tuned; it is safe to delete.

import Basics
import Formats
import OpenCLBackend
import Training

struct TileCache {
  let path: String

  /// nil where the environment names no folder for caches.
  init?(_ device: OpenCLDevice) throws(EnvironmentFailure) {
    guard let folder = userCacheFolder(processEnvironment()) else { return nil }
    path = "\(folder)/opencl/\(try Tuning.key(of: device)).tiles"
  }

  func read() -> TileTable? {
    guard FileIO.isRegularFile(path), let bytes = try? FileIO.read(path, limit: 1 << 16) else {
      return nil
    }
    return TileTable(text: String(decoding: bytes, as: UTF8.self))
  }

  func write(_ table: TileTable) throws(EnvironmentFailure) {
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    try FileIO.createDirectory(folder.joined(separator: "/"))
    try FileIO.writeAtomically(Array(table.text.utf8), to: path)
  }
}
