// Arithmetic, comparisons and choices on whole vectors, as the compiler's own vector operations.
// The standard library's work lane by lane, and leave it to the optimiser to find the vectors
// again: it does in a register tile, but not in the long chains of a polynomial, nor with masks
// (measured: exp 0.14 numbers a nanosecond that way). These overloads are preferred to the generic
// ones, as both operands are vectors of this module.

import Builtin

#if WIDTH16
  typealias RawVector = Builtin.Vec16xFPIEEE32
  typealias RawIntegers = Builtin.Vec16xInt32
  /// The lanes of a comparison.
  typealias Mask = Builtin.Vec16xInt1
  @inline(__always) func + (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fadd_Vec16xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func - (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fsub_Vec16xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func * (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fmul_Vec16xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func / (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fdiv_Vec16xFPIEEE32(raw(a), raw(b)))
  }
  /// a·b + c, rounded once.
  @inline(__always) func fused(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector {
    wrap(Builtin.int_fma_Vec16xFPIEEE32(raw(a), raw(b), raw(c)))
  }
  @inline(__always) func roundedDown(_ a: Vector) -> Vector {
    wrap(Builtin.int_floor_Vec16xFPIEEE32(raw(a)))
  }
  @inline(__always) func squareRoot(_ a: Vector) -> Vector {
    wrap(Builtin.int_sqrt_Vec16xFPIEEE32(raw(a)))
  }
  /// Towards zero; lanes out of the range of Int32, and NaN, give unspecified values.
  @inline(__always) func truncated(_ a: Vector) -> Integers {
    wrap(Builtin.fptosi_Vec16xFPIEEE32_Vec16xInt32(raw(a)))
  }
  @inline(__always) func converted(_ a: Integers) -> Vector {
    wrap(Builtin.sitofp_Vec16xInt32_Vec16xFPIEEE32(raw(a)))
  }
  @inline(__always) func .< (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_olt_Vec16xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .<= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_ole_Vec16xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .> (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_ogt_Vec16xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .>= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_oge_Vec16xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .== (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_oeq_Vec16xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .!= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_une_Vec16xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .< (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_slt_Vec16xInt32(raw(a), raw(b))
  }
  @inline(__always) func .<= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sle_Vec16xInt32(raw(a), raw(b))
  }
  @inline(__always) func .> (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sgt_Vec16xInt32(raw(a), raw(b))
  }
  @inline(__always) func .>= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sge_Vec16xInt32(raw(a), raw(b))
  }
  @inline(__always) func .== (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_eq_Vec16xInt32(raw(a), raw(b))
  }
  @inline(__always) func .!= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_ne_Vec16xInt32(raw(a), raw(b))
  }
  @inline(__always) func .& (a: Mask, b: Mask) -> Mask { Builtin.and_Vec16xInt1(a, b) }
  @inline(__always) func .| (a: Mask, b: Mask) -> Mask { Builtin.or_Vec16xInt1(a, b) }
  /// mask ? a : b.
  @inline(__always) func choose(_ mask: Mask, _ a: Vector, _ b: Vector) -> Vector {
    wrap(Builtin.select_Vec16xInt1_Vec16xFPIEEE32(mask, raw(a), raw(b)))
  }
  @inline(__always) func choose(_ mask: Mask, _ a: Integers, _ b: Integers) -> Integers {
    wrap(Builtin.select_Vec16xInt1_Vec16xInt32(mask, raw(a), raw(b)))
  }
  /// A comparison as a boolean lane.
  @inline(__always) func boolean(_ mask: Mask) -> Integers {
    wrap(Builtin.zext_Vec16xInt1_Vec16xInt32(mask))
  }
#elseif WIDTH8
  typealias RawVector = Builtin.Vec8xFPIEEE32
  typealias RawIntegers = Builtin.Vec8xInt32
  /// The lanes of a comparison.
  typealias Mask = Builtin.Vec8xInt1
  @inline(__always) func + (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fadd_Vec8xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func - (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fsub_Vec8xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func * (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fmul_Vec8xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func / (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fdiv_Vec8xFPIEEE32(raw(a), raw(b)))
  }
  /// a·b + c, rounded once.
  @inline(__always) func fused(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector {
    wrap(Builtin.int_fma_Vec8xFPIEEE32(raw(a), raw(b), raw(c)))
  }
  @inline(__always) func roundedDown(_ a: Vector) -> Vector {
    wrap(Builtin.int_floor_Vec8xFPIEEE32(raw(a)))
  }
  @inline(__always) func squareRoot(_ a: Vector) -> Vector {
    wrap(Builtin.int_sqrt_Vec8xFPIEEE32(raw(a)))
  }
  /// Towards zero; lanes out of the range of Int32, and NaN, give unspecified values.
  @inline(__always) func truncated(_ a: Vector) -> Integers {
    wrap(Builtin.fptosi_Vec8xFPIEEE32_Vec8xInt32(raw(a)))
  }
  @inline(__always) func converted(_ a: Integers) -> Vector {
    wrap(Builtin.sitofp_Vec8xInt32_Vec8xFPIEEE32(raw(a)))
  }
  @inline(__always) func .< (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_olt_Vec8xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .<= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_ole_Vec8xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .> (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_ogt_Vec8xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .>= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_oge_Vec8xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .== (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_oeq_Vec8xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .!= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_une_Vec8xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .< (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_slt_Vec8xInt32(raw(a), raw(b))
  }
  @inline(__always) func .<= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sle_Vec8xInt32(raw(a), raw(b))
  }
  @inline(__always) func .> (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sgt_Vec8xInt32(raw(a), raw(b))
  }
  @inline(__always) func .>= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sge_Vec8xInt32(raw(a), raw(b))
  }
  @inline(__always) func .== (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_eq_Vec8xInt32(raw(a), raw(b))
  }
  @inline(__always) func .!= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_ne_Vec8xInt32(raw(a), raw(b))
  }
  @inline(__always) func .& (a: Mask, b: Mask) -> Mask { Builtin.and_Vec8xInt1(a, b) }
  @inline(__always) func .| (a: Mask, b: Mask) -> Mask { Builtin.or_Vec8xInt1(a, b) }
  /// mask ? a : b.
  @inline(__always) func choose(_ mask: Mask, _ a: Vector, _ b: Vector) -> Vector {
    wrap(Builtin.select_Vec8xInt1_Vec8xFPIEEE32(mask, raw(a), raw(b)))
  }
  @inline(__always) func choose(_ mask: Mask, _ a: Integers, _ b: Integers) -> Integers {
    wrap(Builtin.select_Vec8xInt1_Vec8xInt32(mask, raw(a), raw(b)))
  }
  /// A comparison as a boolean lane.
  @inline(__always) func boolean(_ mask: Mask) -> Integers {
    wrap(Builtin.zext_Vec8xInt1_Vec8xInt32(mask))
  }
#else
  typealias RawVector = Builtin.Vec4xFPIEEE32
  typealias RawIntegers = Builtin.Vec4xInt32
  /// The lanes of a comparison.
  typealias Mask = Builtin.Vec4xInt1
  @inline(__always) func + (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fadd_Vec4xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func - (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fsub_Vec4xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func * (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fmul_Vec4xFPIEEE32(raw(a), raw(b)))
  }
  @inline(__always) func / (a: Vector, b: Vector) -> Vector {
    wrap(Builtin.fdiv_Vec4xFPIEEE32(raw(a), raw(b)))
  }
  #if !arch(x86_64)  // SSE2 has neither; the compiler would call libm.
    /// a·b + c, rounded once.
    @inline(__always) func fused(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector {
      wrap(Builtin.int_fma_Vec4xFPIEEE32(raw(a), raw(b), raw(c)))
    }
    @inline(__always) func roundedDown(_ a: Vector) -> Vector {
      wrap(Builtin.int_floor_Vec4xFPIEEE32(raw(a)))
    }
  #endif
  @inline(__always) func squareRoot(_ a: Vector) -> Vector {
    wrap(Builtin.int_sqrt_Vec4xFPIEEE32(raw(a)))
  }
  /// Towards zero; lanes out of the range of Int32, and NaN, give unspecified values.
  @inline(__always) func truncated(_ a: Vector) -> Integers {
    wrap(Builtin.fptosi_Vec4xFPIEEE32_Vec4xInt32(raw(a)))
  }
  @inline(__always) func converted(_ a: Integers) -> Vector {
    wrap(Builtin.sitofp_Vec4xInt32_Vec4xFPIEEE32(raw(a)))
  }
  @inline(__always) func .< (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_olt_Vec4xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .<= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_ole_Vec4xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .> (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_ogt_Vec4xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .>= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_oge_Vec4xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .== (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_oeq_Vec4xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .!= (a: Vector, b: Vector) -> Mask {
    Builtin.fcmp_une_Vec4xFPIEEE32(raw(a), raw(b))
  }
  @inline(__always) func .< (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_slt_Vec4xInt32(raw(a), raw(b))
  }
  @inline(__always) func .<= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sle_Vec4xInt32(raw(a), raw(b))
  }
  @inline(__always) func .> (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sgt_Vec4xInt32(raw(a), raw(b))
  }
  @inline(__always) func .>= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_sge_Vec4xInt32(raw(a), raw(b))
  }
  @inline(__always) func .== (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_eq_Vec4xInt32(raw(a), raw(b))
  }
  @inline(__always) func .!= (a: Integers, b: Integers) -> Mask {
    Builtin.cmp_ne_Vec4xInt32(raw(a), raw(b))
  }
  @inline(__always) func .& (a: Mask, b: Mask) -> Mask { Builtin.and_Vec4xInt1(a, b) }
  @inline(__always) func .| (a: Mask, b: Mask) -> Mask { Builtin.or_Vec4xInt1(a, b) }
  /// mask ? a : b.
  @inline(__always) func choose(_ mask: Mask, _ a: Vector, _ b: Vector) -> Vector {
    wrap(Builtin.select_Vec4xInt1_Vec4xFPIEEE32(mask, raw(a), raw(b)))
  }
  @inline(__always) func choose(_ mask: Mask, _ a: Integers, _ b: Integers) -> Integers {
    wrap(Builtin.select_Vec4xInt1_Vec4xInt32(mask, raw(a), raw(b)))
  }
  /// A comparison as a boolean lane.
  @inline(__always) func boolean(_ mask: Mask) -> Integers {
    wrap(Builtin.zext_Vec4xInt1_Vec4xInt32(mask))
  }
#endif

/// Asks for the line of memory at an address to be brought into the second-level cache. Any address
/// will do.
@inline(__always) func prefetch(_ address: UnsafeMutablePointer<Float>) {
  Builtin.int_prefetch_RawPointer(
    address._rawValue, UInt32(0)._value, UInt32(2)._value, UInt32(1)._value)
}

@inline(__always) private func raw(_ a: Vector) -> RawVector { a._storage._value }
@inline(__always) private func raw(_ a: Integers) -> RawIntegers { a._storage._value }
@inline(__always) private func wrap(_ a: RawVector) -> Vector { unsafeBitCast(a, to: Vector.self) }
@inline(__always) private func wrap(_ a: RawIntegers) -> Integers {
  unsafeBitCast(a, to: Integers.self)
}

@inline(__always) func + (a: Vector, b: Float) -> Vector { a + Vector(repeating: b) }
@inline(__always) func - (a: Vector, b: Float) -> Vector { a - Vector(repeating: b) }
@inline(__always) func * (a: Vector, b: Float) -> Vector { a * Vector(repeating: b) }
