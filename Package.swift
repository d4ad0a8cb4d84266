// swift-tools-version: 6.0
// A static-graph compiler and executor for generative adversarial networks.
// The modules are listed in the order of the flow; dependencies only point upwards in this list.
import PackageDescription

/// The vector kernels: one source folder, compiled once per instruction set. They are optimised
/// in debug builds too, and as one module each, because nothing in them works at -Onone speed.
func kernels(_ name: String, march: String?, width: String) -> Target {
  .target(
    name: name, dependencies: ["KernelTable"],
    swiftSettings: [
      .unsafeFlags(
        ["-Ounchecked", "-wmo", "-disable-batch-mode", "-num-threads", "1"]
          + (march.map { ["-Xcc", "-march=\($0)"] } ?? [])),
      .define(width),
      // Whole-vector arithmetic (KernelSources/Builtins.swift).
      .enableExperimentalFeature("BuiltinModule"),
    ])
}

#if arch(x86_64)
  let kernelTargets = [
    kernels("KernelsBase", march: nil, width: "WIDTH4"),
    kernels("KernelsV3", march: "x86-64-v3", width: "WIDTH8"),
    kernels("KernelsV4", march: "x86-64-v4", width: "WIDTH16"),
  ]
#else
  let kernelTargets = [kernels("KernelsBase", march: nil, width: "WIDTH4")]
#endif
let kernelNames = kernelTargets.map { Target.Dependency(stringLiteral: $0.name) }

/// A module of the project: its folder holds a README beside the sources, and perhaps tables.
func module(
  _ name: String, _ dependencies: [Target.Dependency] = [], tables: [String] = []
) -> Target {
  .target(name: name, dependencies: dependencies, exclude: ["README.md"] + tables)
}

let package = Package(
  name: "swift-gan",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "gan-compile", targets: ["gan-compile"]),
    .executable(name: "gan-exec", targets: ["gan-exec"]),
  ],
  targets: [
    module("Basics"),
    module("GraphSyntax", ["Basics"]),
    module("GraphIR", ["Basics"]),
    module("Operators", ["Basics", "GraphIR"]),
    module("Elaboration", ["Basics", "GraphSyntax", "GraphIR", "Operators"]),
    module("Passes", ["Basics", "GraphIR", "Operators"]),
    module("Planning", ["Basics", "GraphIR", "Operators"]),
    module("Runtime", ["Basics", "GraphIR", "Planning"]),
    module("KernelTable"),
  ] + kernelTargets + [
    module("CProcessor"),
    module(
      "CPUBackend",
      [
        "Basics", "GraphIR", "Operators", "Planning", "Runtime", "KernelTable", "CProcessor",
      ] + kernelNames),
    .target(
      name: "COpenCL", exclude: ["README.md"],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    module(
      "OpenCLBackend",
      ["Basics", "GraphIR", "Operators", "Planning", "Runtime", "COpenCL"]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    module("Formats", ["Basics", "CZlib"]),
    module(
      "Interchange", ["Basics", "GraphIR", "Operators", "Formats"], tables: ["NODE-TESTS.md"]),
    module(
      "Training",
      [
        "Basics", "GraphSyntax", "GraphIR", "Operators", "Elaboration", "Passes", "Planning",
        "Runtime", "Formats",
      ]),
    module(
      "Commands",
      [
        "Basics", "GraphSyntax", "GraphIR", "Operators", "Elaboration", "Passes", "Planning",
        "Runtime", "CPUBackend", "OpenCLBackend", "Formats", "Interchange", "Training",
      ]),
    .executableTarget(name: "gan-compile", dependencies: ["Commands"]),
    .executableTarget(name: "gan-exec", dependencies: ["Commands"]),

    // Seeded random graphs and inputs, for all tests that state properties; files of the repository.
    .target(
      name: "TestSupport", dependencies: ["Basics", "GraphIR", "Operators", "Formats"],
      path: "Tests/TestSupport"),
    // Graphs run on any backend beside the reference evaluator.
    .target(
      name: "BackendSupport",
      dependencies: ["Basics", "GraphIR", "Operators", "Planning", "Runtime"],
      path: "Tests/BackendSupport"),
    // Runs of the commands within the tests' process, for the tests that need them.
    .target(
      name: "CommandSupport", dependencies: ["Basics", "Commands", "Formats"],
      path: "Tests/CommandSupport"),
    // Stands in for malloc in the tests' program and counts its calls.
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    .testTarget(name: "BasicsTests", dependencies: ["Basics"]),
    .testTarget(name: "GraphSyntaxTests", dependencies: ["GraphSyntax", "TestSupport"]),
    .testTarget(name: "KernelsTests", dependencies: ["KernelTable", "CProcessor"] + kernelNames),
    .testTarget(name: "GraphIRTests", dependencies: ["GraphIR", "Operators", "TestSupport"]),
    .testTarget(name: "OperatorsTests", dependencies: ["Operators", "Passes", "TestSupport"]),
    .testTarget(
      name: "ElaborationTests", dependencies: ["Elaboration", "Passes", "Commands", "TestSupport"]),
    .testTarget(name: "PassesTests", dependencies: ["Passes", "Elaboration", "TestSupport"]),
    .testTarget(
      name: "PlanningTests", dependencies: ["Planning", "Passes", "Elaboration", "TestSupport"]),
    .testTarget(
      name: "CPUBackendTests",
      dependencies: [
        "CPUBackend", "Operators", "Elaboration", "Passes", "Planning", "TestSupport",
        "BackendSupport", "AllocationCounter",
      ]),
    .testTarget(
      name: "OpenCLBackendTests",
      dependencies: [
        "OpenCLBackend", "CPUBackend", "Operators", "Elaboration", "Passes", "Planning",
        "TestSupport", "BackendSupport",
      ]),
    .testTarget(
      name: "FormatsTests", dependencies: ["Formats", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "InterchangeTests",
      dependencies: [
        "Interchange", "Elaboration", "Formats", "GraphIR", "Operators", "Passes", "TestSupport",
      ],
      exclude: ["Fixtures", "Programs"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Commands", "CPUBackend", "OpenCLBackend", "CommandSupport", "TestSupport",
        "AllocationCounter",
      ],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "CommandsTests",
      dependencies: [
        "Commands", "CommandSupport", "TestSupport", "Elaboration", "OpenCLBackend", "Passes",
        "Training",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
