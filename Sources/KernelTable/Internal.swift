// The kernels' own structs. They stand here, in the baseline's module, because a struct's value
// witnesses and copy helpers are weak symbols of one name in every module: in an object of a newer
// instruction set they could be the ones that the linker keeps.

/// An instruction with its operands as slots.
package struct RegionStep {
  package var opcode: RegionOpcode
  package var d: Int32
  package var a: Int32
  package var b: Int32
  package var c: Int32
  package var x: Float
  package var y: Float
  package var integer: Int32

  package init(
    opcode: RegionOpcode, d: Int32, a: Int32, b: Int32, c: Int32, x: Float, y: Float, integer: Int32
  ) {
    self.opcode = opcode
    self.d = d
    self.a = a
    self.b = b
    self.c = c
    self.x = x
    self.y = y
    self.integer = integer
  }
}

/// Where a slot's lanes are in the present block, and how far its vectors lie apart (0 for
/// scalars).
package struct RegionSlot {
  package var pointer: UnsafeMutablePointer<Float>
  package var step: Int

  package init(
    pointer: UnsafeMutablePointer<Float>, step: Int
  ) {
    self.pointer = pointer
    self.step = step
  }
}

/// A decoded program, with its memory in a share's scratch. Slots: registers, then inputs, then
/// outputs.
package struct RegionRun {
  package var program: UnsafePointer<RegionArguments>
  package var steps: UnsafeMutablePointer<RegionStep>
  package var slots: UnsafeMutablePointer<RegionSlot>
  /// For each output, the slot of its value, or −1 where an instruction stores it directly.
  package var copied: UnsafeMutablePointer<Int32>
  /// Two blocks an input, one an output, three spare ones.
  package var inputBlocks: UnsafeMutablePointer<Float>
  package var outputBlocks: UnsafeMutablePointer<Float>
  package var spare: UnsafeMutablePointer<Float>
  package var lanes: Int
  /// Input 0 at flat index 0 where it is a block that a matrix kernel keeps in its scratch; nil:
  /// in its own memory.
  package var made: UnsafeMutablePointer<Float>?
  /// Whether the next block's inputs are asked for while one is computed.
  package var asksAhead: Bool

  package init(
    program: UnsafePointer<RegionArguments>, steps: UnsafeMutablePointer<RegionStep>,
    slots: UnsafeMutablePointer<RegionSlot>, copied: UnsafeMutablePointer<Int32>,
    inputBlocks: UnsafeMutablePointer<Float>, outputBlocks: UnsafeMutablePointer<Float>,
    spare: UnsafeMutablePointer<Float>, lanes: Int
  ) {
    self.program = program
    self.steps = steps
    self.slots = slots
    self.copied = copied
    self.inputBlocks = inputBlocks
    self.outputBlocks = outputBlocks
    self.spare = spare
    self.lanes = lanes
    made = nil
    asksAhead = false
  }
}

/// The key, step and stream of random numbers.
package struct PhiloxKey {
  package var low: UInt32
  package var high: UInt32
  package var step: UInt32
  package var stream: UInt32

  package init(
    low: UInt32, high: UInt32, step: UInt32, stream: UInt32
  ) {
    self.low = low
    self.high = high
    self.step = step
    self.stream = stream
  }
}

/// The part of a share's scratch that the register tiles use.
package struct TileScratch {
  /// tileRows pointers to rows of A, times segments.
  package var a: UnsafeMutablePointer<UnsafePointer<Float>>
  /// tileRows pointers to rows of C.
  package var c: UnsafeMutablePointer<UnsafeMutablePointer<Float>>
  /// The same for a tile with an edge.
  package var edgeRows: UnsafeMutablePointer<UnsafeMutablePointer<Float>>
  /// A whole tile, for the edges of C.
  package var edge: UnsafeMutablePointer<Float>

  package init(
    a: UnsafeMutablePointer<UnsafePointer<Float>>,
    c: UnsafeMutablePointer<UnsafeMutablePointer<Float>>,
    edgeRows: UnsafeMutablePointer<UnsafeMutablePointer<Float>>,
    edge: UnsafeMutablePointer<Float>
  ) {
    self.a = a
    self.c = c
    self.edgeRows = edgeRows
    self.edge = edge
  }
}

/// One dense convolution on a grid of target pixels: the whole of a forward convolution, or one of
/// the phases of an input gradient. Target row i = rowFirst + rowStep·t reads the source rows
/// t·rowScale + rowOffset + sign·u, u in 0..<tapRows; columns alike.
package struct ConvolutionPhase {
  package var source: UnsafePointer<Float>
  package var sourceHeight: Int
  package var sourceWidth: Int
  package var sourceChannels: Int
  package var target: UnsafeMutablePointer<Float>
  package var targetHeight: Int
  package var targetWidth: Int
  package var targetChannels: Int
  package var rowFirst: Int
  package var rowStep: Int
  package var rowScale: Int
  package var rowOffset: Int
  package var columnFirst: Int
  package var columnStep: Int
  package var columnScale: Int
  package var columnOffset: Int
  package var tapRows: Int
  package var tapColumns: Int
  package var sign: Int
  /// This phase's panels.
  package var packed: UnsafePointer<Float>

  package init(
    source: UnsafePointer<Float>, sourceHeight: Int, sourceWidth: Int, sourceChannels: Int,
    target: UnsafeMutablePointer<Float>, targetHeight: Int, targetWidth: Int,
    targetChannels: Int, packed: UnsafePointer<Float>
  ) {
    self.source = source
    self.sourceHeight = sourceHeight
    self.sourceWidth = sourceWidth
    self.sourceChannels = sourceChannels
    self.target = target
    self.targetHeight = targetHeight
    self.targetWidth = targetWidth
    self.targetChannels = targetChannels
    self.packed = packed
    rowFirst = 0
    rowStep = 1
    rowScale = 1
    rowOffset = 0
    columnFirst = 0
    columnStep = 1
    columnScale = 1
    columnOffset = 0
    tapRows = 1
    tapColumns = 1
    sign = 1
  }
}

/// The memory of a convolution's block of pixels, in a share's scratch.
package struct ConvolutionScratch {
  /// For each pixel: its row of the target, its source image, and the source row and column of tap
  /// (0, 0).
  package var target: UnsafeMutablePointer<UnsafeMutablePointer<Float>>
  package var image: UnsafeMutablePointer<UnsafePointer<Float>>
  package var row: UnsafeMutablePointer<Int32>
  package var column: UnsafeMutablePointer<Int32>
  /// [tile][tap][tileRows] pointers to the source.
  package var taps: UnsafeMutablePointer<UnsafePointer<Float>>
  /// [pixel][tap][channel], where channels are few.
  package var gathered: UnsafeMutablePointer<Float>
  /// Zeros, as many as channels.
  package var zeros: UnsafeMutablePointer<Float>

  package init(
    target: UnsafeMutablePointer<UnsafeMutablePointer<Float>>,
    image: UnsafeMutablePointer<UnsafePointer<Float>>, row: UnsafeMutablePointer<Int32>,
    column: UnsafeMutablePointer<Int32>, taps: UnsafeMutablePointer<UnsafePointer<Float>>,
    gathered: UnsafeMutablePointer<Float>, zeros: UnsafeMutablePointer<Float>
  ) {
    self.target = target
    self.image = image
    self.row = row
    self.column = column
    self.taps = taps
    self.gathered = gathered
    self.zeros = zeros
  }
}

/// The memory of a block of tiles of a Winograd convolution, in a share's scratch.
package struct WinogradScratch {
  /// The pixels of one tile, at most 64.
  package var pixels: UnsafeMutablePointer<UnsafePointer<Float>>
  /// Vectors between the transforms of the two axes.
  package var spare: UnsafeMutablePointer<Float>
  /// Zeros, as many as channels.
  package var zeros: UnsafeMutablePointer<Float>
  /// The image's transform, [point][tile][channel].
  package var transformed: UnsafeMutablePointer<Float>
  package var transformedStride: Int
  /// The products, or dy's transform, [point][tile][column].
  package var products: UnsafeMutablePointer<Float>
  package var productStride: Int

  package init(
    pixels: UnsafeMutablePointer<UnsafePointer<Float>>, spare: UnsafeMutablePointer<Float>,
    zeros: UnsafeMutablePointer<Float>, transformed: UnsafeMutablePointer<Float>,
    transformedStride: Int, products: UnsafeMutablePointer<Float>, productStride: Int
  ) {
    self.pixels = pixels
    self.spare = spare
    self.zeros = zeros
    self.transformed = transformed
    self.transformedStride = transformedStride
    self.products = products
    self.productStride = productStride
  }
}

/// Matrices that an epilogue reads or writes at the places of C, besides the product: their memory is asked for while the
/// product is made.
package struct EpilogueRows {
  /// Their elements at flat index 0.
  package var matrices: UnsafeMutablePointer<UnsafeMutablePointer<Float>>
  package var count: Int
  /// Elements between rows.
  package var stride: Int
  /// The flat index of the first element of the block at hand.
  package var first: Int
  /// The tiles come to each place so many times, once for each piece of the reduction; each time they ask for another share
  /// of the matrices.
  package var times: Int
  package var time: Int

  package init(
    matrices: UnsafeMutablePointer<UnsafeMutablePointer<Float>>, count: Int, stride: Int
  ) {
    self.matrices = matrices
    self.count = count
    self.stride = stride
    first = 0
    times = 1
    time = 0
  }
}
