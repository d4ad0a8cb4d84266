// Arguments of the two kernels that measure the machine: what arithmetic and memory can do at most.

/// `multiplyAdd`: target[t] = Σ over the lanes of the vectors v₀ … v₁₅ (v₁₁ where registers are
/// few), where vᵢ starts as i in every lane and becomes v·factor + addend `rounds` times; t in
/// 0..<taskCount. Nothing but registers is touched within a task. No scratch.
package struct MultiplyAddArguments {
  package var target: UnsafeMutablePointer<Float>?
  package var rounds = 0
  package var factor: Float = 0
  package var addend: Float = 0
  package var taskCount = 0
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { taskCount }
}

/// `triad`: target[i] = a[i] + factor·b[i], i in 0..<count. No scratch.
package struct TriadArguments {
  package var target: UnsafeMutablePointer<Float>?
  package var a: UnsafePointer<Float>?
  package var b: UnsafePointer<Float>?
  package var factor: Float = 0
  package var count = 0
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { (count + 16383) / 16384 }
}
