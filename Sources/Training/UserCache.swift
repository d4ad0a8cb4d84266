// Where the project keeps what it can make or fetch again: data sets, classifiers, tiles of devices.

/// The project's folder among the user's caches, by the XDG base directory specification (a relative path there does not
/// count); nil where the environment names none.
package func userCacheFolder(_ environment: [String: String]) -> String? {
  if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return cache + "/swift-gan" }
  if let home = environment["HOME"], !home.isEmpty { return home + "/.cache/swift-gan" }
  return nil
}
