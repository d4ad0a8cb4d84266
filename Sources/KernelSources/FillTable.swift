// The one entry point of a kernel module: it writes its kernels into a table.

import KernelTable

/// Fills in every kernel of this instruction set.
package func fillKernelTable(_ table: UnsafeMutablePointer<KernelTable>) {
  table.pointee = KernelTable()
  table.pointee.vectorWidth = width
  table.pointee.gemmRows = tileRows
  table.pointee.gemmColumns = tileColumns
  table.pointee.region = regionKernel
  table.pointee.regions = regionsKernel
  table.pointee.pack = packKernel
  table.pointee.matmul = matmulKernel
  table.pointee.packFilter = packFilterKernel
  table.pointee.convolution = convolutionKernel
  table.pointee.packFilterTransposed = packFilterTransposedKernel
  table.pointee.convolutionInputGradient = convolutionInputGradientKernel
  table.pointee.convolutionFilterGradient = filterGradientKernel
  table.pointee.convolutionFilterGradientCombine = filterGradientCombineKernel
  table.pointee.collect = collectKernel
  table.pointee.winogradFilter = winogradFilterKernel
  table.pointee.winogradConvolution = winogradConvolutionKernel
  table.pointee.winogradAdjoint = winogradAdjointKernel
  table.pointee.winogradFilterGradient = winogradFilterGradientKernel
  table.pointee.winogradFilterGradientCombine = winogradFilterGradientCombineKernel
  table.pointee.reduce = reduceKernel
  table.pointee.reduceCombine = reduceCombineKernel
  table.pointee.moments = momentsKernel
  table.pointee.momentsCombine = momentsCombineKernel
  table.pointee.argmax = argmaxKernel
  table.pointee.softmax = softmaxKernel
  table.pointee.copy = copyKernel
  table.pointee.fill = fillKernel
  table.pointee.gather = gatherKernel
  table.pointee.gatherAdjoint = gatherAdjointKernel
  table.pointee.gatherRows = gatherRowsKernel
  table.pointee.scatterAddRows = scatterAddRowsKernel
  table.pointee.oneHot = oneHotKernel
  table.pointee.iota = iotaKernel
  table.pointee.upsampleNearest = upsampleNearestKernel
  table.pointee.blockSum = blockSumKernel
  table.pointee.upsampleBilinear = upsampleBilinearKernel
  table.pointee.upsampleBilinearAdjoint = upsampleBilinearAdjointKernel
  table.pointee.maxPool = maxPoolKernel
  table.pointee.maxPoolGradient = maxPoolGradientKernel
  table.pointee.maxPoolGather = maxPoolGatherKernel
  table.pointee.averagePool = averagePoolKernel
  table.pointee.averagePoolGradient = averagePoolGradientKernel
  table.pointee.multiplyAdd = multiplyAddKernel
  table.pointee.triad = triadKernel
  table.pointee.multiplyAddChains = multiplyAddChainCount
}
