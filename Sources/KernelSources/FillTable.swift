// The one entry point of a kernel module: it writes its kernels into a table.

import KernelTable

/// Fills in every kernel of this instruction set.
package func fillKernelTable(_ table: UnsafeMutablePointer<KernelTable>) {
  table.pointee = KernelTable()
  table.pointee.vectorWidth = width
  table.pointee.gemmRows = tileRows
  table.pointee.gemmColumns = tileColumns
  table.pointee.region = regionKernel
  table.pointee.pack = packKernel
  table.pointee.matmul = matmulKernel
}
