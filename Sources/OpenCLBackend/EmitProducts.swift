// ...

import Basics
import GraphIR
import Operators

let productRoots: [(any Operation.Type, RootEmitter)] = []
let productEmitters: [(any Operation.Type, NodeEmitter)] = []
