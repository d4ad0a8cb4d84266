// ...

import Basics
import GraphIR
import Operators

let reductionEmitters: [(any Operation.Type, NodeEmitter)] = []
