#include "xception/report/report.h"

#include "subcommands.h"

namespace xception {

void add_report_command(CLI::App& program, Invocation& /*invocation*/) {
  struct Arguments {
    ReportRequest request = {};
    bool no_figures = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto& request = arguments->request;
  auto* command = program.add_subcommand("report", "Compare runs: a report in Markdown and HTML");
  command->add_option("paths", request.paths, "Folders of runs, of sweeps, or with runs in them")
      ->required();
  command->add_option("--out", request.out,
                      "Folder (default: reports/<name of the first path>, the next free "
                      "number)");
  command->add_flag("--overwrite", request.overwrite,
                    "Also where --out holds a report of other runs");
  command
      ->add_option("--baseline", request.baseline,
                   "notebook, none, or a JSON file: what stands in gray beside the runs")
      ->capture_default_str();
  command->add_option("--checkpoint", request.checkpoint, "Whose test answers: best or last")
      ->check(CLI::IsMember({"best", "last"}))
      ->capture_default_str();
  command->add_option("--data", request.data,
                      "Folder of the data set, for example images (default: the runs' own)");
  command->add_flag("--no-figures", arguments->no_figures, "Tables and text only, without gnuplot");
  command->footer("Example: xception report sweeps/activations --out report");
  command->callback([arguments] {
    arguments->request.figures = !arguments->no_figures;
    write_report(arguments->request);
  });
}

}  // namespace xception
