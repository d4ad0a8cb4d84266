import Commands

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

prepareProcess()
exit(ganExec(Array(CommandLine.arguments.dropFirst())))
