using System.Diagnostics;
using System.Globalization;
using ModelServe.Trainer.Data;
using ModelServe.Trainer.Model;
using ModelServe.Trainer.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelServe.Trainer.Training;

/// <summary>One training run: its schedule, its steps, its periodic evaluation and its files.</summary>
internal sealed class TrainingRun : IDisposable
{
    private readonly TrainingOptions _options;
    private readonly string _output;
    private readonly Bpe _bpe;
    private readonly Decoder _model;
    private readonly MuonAdam _optimizer;
    private readonly BatchMaker _batches;
    private readonly Problem[] _easy;
    private readonly Problem[] _hard;

    public TrainingRun(TrainingOptions options, Bpe bpe)
    {
        (_options, _bpe) = (options, bpe);
        int seed = options.Whole("seed", 1);
        string name = options.Text("model", "nano");
        _output = options.Text("out", Path.Combine("artifacts", "train-" + name));
        Directory.CreateDirectory(_output);
        _model = new Decoder(DecoderShape.Named(name, bpe.Tokens.Count), seed);
        _model.Compute = options.Text("compute", "bf16") == "bf16" ? ScalarType.BFloat16 : ScalarType.Float32;
        string start = options.Text("init", "");
        if (start.Length > 0)
        {
            Safetensors.ReadInto(start, _model.Weights);
        }

        _optimizer = new MuonAdam(
            _model.Weights, options.Real("muon-rate", 0.02), options.Real("adam-rate", 0.004), options.Real("decay", 0.05));
        Mixture mixture = new(new Random(seed), options.Text("weights", ""), options.Real("plain", 0));
        _batches = new BatchMaker(bpe, mixture, options.Whole("steps-per-needle", 4));
        _easy = Sample(hard: false);
        _hard = Sample(hard: true);
    }

    /// <summary>Trains until the step count, or else the time, is used up, and leaves the model directory in the output folder.</summary>
    public void Train()
    {
        int steps = _options.Whole("steps", 0);
        double minutes = _options.Real("minutes", 5);
        double start = _options.Real("start", 0);
        double every = _options.Real("eval-minutes", 3);
        Say($"{_model.ParameterCount} parameters, vocabulary {_bpe.Tokens.Count}");
        Stopwatch clock = Stopwatch.StartNew();
        double nextReport = every;
        long tokens = 0;
        double loss = 0;
        int step = 0;
        for (double progress = start; progress < 1; step++)
        {
            double done = steps > 0 ? (double)step / steps : clock.Elapsed.TotalMinutes / minutes;
            progress = start + ((1 - start) * done);
            (double stepLoss, int stepTokens) = Step(step, progress);
            loss = step == 0 ? stepLoss : (0.98 * loss) + (0.02 * stepLoss);
            tokens += stepTokens;
            if (step % _options.Whole("log-every", 50) == 0)
            {
                Say($"step {step} progress {progress:F3} loss {loss:F4} tokens {tokens} rate {tokens / clock.Elapsed.TotalSeconds:F0}/s");
            }

            if (clock.Elapsed.TotalMinutes >= nextReport)
            {
                nextReport = clock.Elapsed.TotalMinutes + every;
                Report(step);
            }
        }

        Report(step);
        Say($"finished: {step} steps, {tokens} tokens, {clock.Elapsed.TotalMinutes:F1} minutes");
    }

    public void Dispose() => _model.Dispose();

    private static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    private static Problem[] Sample(bool hard) =>
        [.. EvalFiles.Draw(hard, 99).GroupBy(p => p.Task).SelectMany(g => g.Where(p => p.Question.Length < 900).Take(30))];

    private (double Loss, int Tokens) Step(int step, double progress)
    {
        double ramp = Math.Min(1, progress / _options.Real("ramp", 0.35));
        double hardOther = Ramp("hard-from", 0.25, "hard-to", 0.65, ramp);
        double hardArithmetic = Ramp("hard-sums-from", 0.25, "hard-sums-to", 0.65, ramp);
        int longest = progress > _options.Real("long-after", 0.15) ? _options.Whole("longest", 150) : 0;
        List<Batch> batches = _batches.Next(_options.Whole("tokens", 5000), hardArithmetic, hardOther, longest);
        double flat = _options.Real("flat", 0.4);
        double scale = Math.Min(1, (step + 1) / 50.0) * Math.Min(1, Math.Max(0, 1 - progress) / (1 - flat));
        double total = batches.Sum(b => b.Weights.Sum());
        double loss = 0;
        int tokens = 0;
        foreach (Batch batch in batches)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor logits = _model.Forward(tensor(batch.Ids).view(batch.Rows, batch.Length), tensor(batch.Positions));
            Tensor losses = nn.functional.cross_entropy(logits, tensor(batch.Targets), reduction: nn.Reduction.None);
            Tensor mean = losses.mul(tensor(batch.Weights)).sum().div(total);
            mean.backward();
            loss += mean.item<float>();
            tokens += batch.Ids.Length;
        }

        _optimizer.Step(scale);
        return (loss, tokens);
    }

    private double Ramp(string from, double fromDefault, string to, double toDefault, double ramp)
    {
        double start = _options.Real(from, fromDefault);
        return start + ((_options.Real(to, toDefault) - start) * ramp);
    }

    private void Report(int step)
    {
        Safetensors.Write(Path.Combine(_output, "state.safetensors"), _model.Weights, bfloat16: false);
        ModelDirectory.Write(Path.Combine(_output, "model"), _model.Shape, _model.Weights, _bpe);
        string easy = GreedyEvaluator.Summary(GreedyEvaluator.Run(_model, _bpe, _easy));
        string hard = GreedyEvaluator.Summary(GreedyEvaluator.Run(_model, _bpe, _hard));
        Say($"eval at step {step}: easy {easy}");
        Say($"eval at step {step}: hard {hard}");
    }
}
