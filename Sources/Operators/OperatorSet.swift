// The one list of all operations. What is not in it can be neither parsed nor run; a test compares it with the files.

import GraphIR

package enum OperatorSet {
  /// In the order of the documentation.
  package static let standard = OperationSet([
    // Element by element
    Add.self, Subtract.self, Multiply.self, Divide.self, Modulo.self,
    Minimum.self, Maximum.self, Power.self,
    Compare.self, Select.self, Convert.self, StopGradient.self,
    Negate.self, Exp.self, Log.self, Sqrt.self, Square.self, Absolute.self, Sign.self, Erf.self,
    Tanh.self, Sigmoid.self, Softplus.self, Relu.self, LeakyRelu.self, Elu.self,
    BceWithLogits.self, BceClamped.self,
    // Made from nothing
    Constant.self, Iota.self, RandomUniform.self, RandomNormal.self,
    // Shapes
    Reshape.self, Transpose.self, Broadcast.self, Concat.self, Slice.self,
    Pad.self, PadGradient.self,
    // Reductions
    Sum.self, Max.self, ArgMax.self, Moments.self, Softmax.self, LogSoftmax.self,
    // Products
    MatMul.self,
    // Images
    Conv2D.self, Conv2DInputGradient.self, Conv2DFilterGradient.self,
    UpsampleNearest.self, BlockSum.self, UpsampleBilinear.self, UpsampleBilinearGradient.self,
    MaxPool.self, MaxPoolGradient.self, MaxPoolGather.self, AvgPool.self, AvgPoolGradient.self,
    // Rows of tables
    GatherRows.self, ScatterAddRows.self, OneHot.self,
    // Made by elaboration and by passes
    Gradient.self, Fused.self,
  ])
}
