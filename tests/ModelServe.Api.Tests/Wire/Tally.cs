using System.Globalization;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>What became of everything that a test sent, as one line that the scripts beside the test projects add up.</summary>
/// <remarks>
/// Answered is a whole answer, equal to what the model writes when nothing disturbs it. Ended is the end that the test is meant to
/// bring: a refusal, a cancel, a deadline, an error of that request alone. What is neither is lost, and a test that loses something fails.
/// </remarks>
public static class Tally
{
    /// <summary>Tells the counts of a fault by its number in the list of faults.</summary>
    public static void Fault(int number, string what, long sent, long answered, long ended) =>
        Report(string.Create(CultureInfo.InvariantCulture, $"fault {number:00}"), what, sent, answered, ended);

    /// <summary>Tells the counts and requires that nothing was lost.</summary>
    /// <param name="row">First column of the table, by which it is sorted.</param>
    /// <param name="what">What was done, in a few words.</param>
    /// <param name="sent">What was sent.</param>
    /// <param name="answered">How many got a whole answer.</param>
    /// <param name="ended">How many met the end that they were meant to meet.</param>
    public static void Report(string row, string what, long sent, long answered, long ended)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"count | {row} | {what} | {sent} | {answered} | {ended} | {sent - answered - ended}"));
        Assert.Equal(sent, answered + ended);
    }
}
