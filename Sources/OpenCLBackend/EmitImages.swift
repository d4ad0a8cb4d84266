// ...

import Basics
import GraphIR
import Operators

let imageEmitters: [(any Operation.Type, NodeEmitter)] = []
