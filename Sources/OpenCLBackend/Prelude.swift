// Functions that generated expressions call, in OpenCL C: random numbers and whole-number arithmetic.

/// The text before all kernels.
func prelude(hasDouble: Bool) -> String {
  (hasDouble ? "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n" : "")
    + """
    // Whole numbers: quotients are rounded down, by zero they are 0; |least number| is itself.
    #define WHOLE_FUNCTIONS(T) \\
      T __attribute__((overloadable)) floored_quotient(T a, T b) { \\
        const T safe = select(b, (T)(1), (b == 0) | ((b == -1) & (a == INT_MIN))); \\
        const T q = a / safe; \\
        const T down = (((a - q * safe) != 0) & ((a ^ safe) < 0)) & 1; \\
        return select(select(q - down, (T)(INT_MIN), (b == -1) & (a == INT_MIN)), (T)(0), b == 0); \\
      } \\
      T __attribute__((overloadable)) floored_remainder(T a, T b) { \\
        const T safe = select(b, (T)(1), (b == 0) | (b == -1)); \\
        const T r = a - (a / safe) * safe; \\
        return select(select(r, r + safe, (r != 0) & ((r ^ safe) < 0)), (T)(0), (b == 0) | (b == -1)); \\
      } \\
      T __attribute__((overloadable)) wrapped_abs(T a) { return select(a, 0 - a, a < 0); }
    #define FLOAT_FUNCTIONS(T) \\
      T __attribute__((overloadable)) floored_modulo(T a, T b) { \\
        const T r = fmod(a, b); \\
        return select(r, r + b, (r != (T)(0)) & ((r < (T)(0)) != (b < (T)(0)))); \\
      }
    WHOLE_FUNCTIONS(int)
    WHOLE_FUNCTIONS(int2)
    WHOLE_FUNCTIONS(int4)
    WHOLE_FUNCTIONS(int8)
    WHOLE_FUNCTIONS(int16)
    FLOAT_FUNCTIONS(float)
    FLOAT_FUNCTIONS(float2)
    FLOAT_FUNCTIONS(float4)
    FLOAT_FUNCTIONS(float8)
    FLOAT_FUNCTIONS(float16)

    // Philox4x32-10 (Salmon et al., SC 2011): the four words of a block.
    uint4 philox(uint low, uint high, uint step, uint stream, uint block) {
      uint4 c = (uint4)(block, step, stream, 0u);
      uint k0 = low, k1 = high;
      for (int round = 0; round < 10; round++) {
        const ulong p0 = (ulong)c.x * 0xD2511F53u;
        const ulong p1 = (ulong)c.z * 0xCD9E8D57u;
        c = (uint4)((uint)(p1 >> 32) ^ c.y ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c.w ^ k1, (uint)p0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
      }
      return c;
    }
    // Uniform numbers in [0, 1) with 24 bits.
    float4 uniform_block(
      __global const int *seed, __global const int *step, uint stream, uint block) {
      const uint4 w = philox((uint)seed[0], (uint)seed[1], (uint)step[0], stream, block);
      return convert_float4(w >> 8) * 0x1p-24f;
    }
    // Normal numbers of pairs of words (Box and Muller).
    float4 normal_block(
      __global const int *seed, __global const int *step, uint stream, uint block) {
      const uint4 w = philox((uint)seed[0], (uint)seed[1], (uint)step[0], stream, block) >> 8;
      const float2 u = (convert_float2(w.s02) + 1.0f) * 0x1p-24f;
      const float2 turns = convert_float2(w.s13) * 0x1p-24f;
      const float2 r = sqrt(-2.0f * log(u));
      const float2 c = r * cospi(2.0f * turns);
      const float2 s = r * sinpi(2.0f * turns);
      return (float4)(c.x, s.x, c.y, s.y);
    }
    float lane_of(float4 v, uint lane) {
      return lane < 2u ? (lane == 0u ? v.x : v.y) : (lane == 2u ? v.z : v.w);
    }
    float2 pair_of(float4 v, uint lane) { return lane == 0u ? v.xy : v.zw; }

    """ + (hasDouble ? doubleFunctions : "")
}

private let doubleFunctions = """
  double __attribute__((overloadable)) floored_modulo(double a, double b) {
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }

  """
