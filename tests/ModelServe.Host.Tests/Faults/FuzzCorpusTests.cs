using ModelServe.Api.Tests.Wire;
using ModelServe.Fuzz;
using ModelServe.Host.Models;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Every input that once was of interest, and many small changes of each, meet only documented errors.</summary>
public sealed class FuzzCorpusTests
{
    private const int Changes = 150;

    public static TheoryData<string> Targets => [.. FuzzTargets.Names];

    [Theory]
    [MemberData(nameof(Targets))]
    public void The_corpus_and_its_neighbours_are_read_or_refused(string target)
    {
        using var targets = new FuzzTargets(ShippedModels.Resolve(ShippedModels.Default.Split('=')[^1]));
        string[] files = Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Corpus", target));
        Assert.NotEmpty(files);
        var random = new Random(17);
        foreach (string file in files)
        {
            byte[] seed = File.ReadAllBytes(file);
            Run(targets, target, seed, file);
            for (int i = 0; i < Changes; i++)
            {
                Run(targets, target, Changed(seed, random), $"{file}, change {i}");
            }
        }

        int inputs = files.Length * (1 + Changes);
        Tally.Report("bytes", $"files and random changes: {target}, read or refused", inputs, 0, inputs);
    }

    private static void Run(FuzzTargets targets, string target, byte[] bytes, string what)
    {
        try
        {
            targets.Run(target, bytes);
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"{what}: {Convert.ToBase64String(bytes.AsSpan(0, Math.Min(bytes.Length, 2000)))}", exception);
        }
    }

    private static byte[] Changed(byte[] seed, Random random)
    {
        byte[] bytes = [.. seed];
        for (int changes = random.Next(1, 5); changes > 0 && bytes.Length > 1; changes--)
        {
            int at = random.Next(bytes.Length);
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes = bytes[..at];
                    break;
                case 2:
                    bytes = [.. bytes[..at], .. bytes[random.Next(at + 1)..]];
                    break;
                default:
                    bytes[at] = (byte)"0{}[]\"\\%\xff"[random.Next(9)];
                    break;
            }
        }

        return bytes;
    }
}
