// The commands of gan-exec.

package func ganExec(_ arguments: [String], console: Console = .standard()) -> Int32 {
  dispatch(
    arguments, program: "gan-exec",
    summary: "trains, samples and evaluates programs of the graph language",
    commands: [
      Command(TrainCommand.spec, TrainCommand.run), Command(SampleCommand.spec, SampleCommand.run),
      Command(EvalCommand.spec, EvalCommand.run),
      Command(EvaluateCommand.spec, EvaluateCommand.run),
      Command(CheckCommand.spec, CheckCommand.run),
      Command(ExportCommand.spec, ExportCommand.run),
      Command(BenchCommand.spec, BenchCommand.run),
      Command(ProfileCommand.spec, ProfileCommand.run),
      Command(DataCommand.spec, DataCommand.run), Command(DevicesCommand.spec, DevicesCommand.run),
      Command(TuneCommand.spec, TuneCommand.run),
      Command(VerifyResumeCommand.spec, VerifyResumeCommand.run),
    ], fallback: nil, console: console)
}
