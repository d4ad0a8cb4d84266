// ...

import Basics
import GraphIR
import Operators

let movementEmitters: [(any Operation.Type, NodeEmitter)] = []
