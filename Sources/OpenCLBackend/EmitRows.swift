// ...

import Basics
import GraphIR
import Operators

let rowEmitters: [(any Operation.Type, NodeEmitter)] = []
