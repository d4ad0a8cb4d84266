// The vector of this module's instruction set, and its basic operations. Everything is inlined; loads and
// stores need no alignment.

#if WIDTH16
  typealias Vector = SIMD16<Float>
  typealias Integers = SIMD16<Int32>
  typealias Words = SIMD16<UInt32>
  typealias Wide = SIMD8<UInt64>
  typealias Mask = SIMDMask<SIMD16<Int32>>
  let width = 16
  let tileRows = 12
#elseif WIDTH8
  typealias Vector = SIMD8<Float>
  typealias Integers = SIMD8<Int32>
  typealias Words = SIMD8<UInt32>
  typealias Wide = SIMD4<UInt64>
  typealias Mask = SIMDMask<SIMD8<Int32>>
  let width = 8
  let tileRows = 6
#else
  typealias Vector = SIMD4<Float>
  typealias Integers = SIMD4<Int32>
  typealias Words = SIMD4<UInt32>
  typealias Wide = SIMD2<UInt64>
  typealias Mask = SIMDMask<SIMD4<Int32>>
  let width = 4
  let tileRows = 6
#endif
let tileColumns = 2 * width
