import Commands

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

prepareProcess()
exit(ganCompile(Array(CommandLine.arguments.dropFirst())))
