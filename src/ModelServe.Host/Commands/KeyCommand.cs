using System.CommandLine;
using ModelServe.Api.Security;

namespace ModelServe.Host.Commands;

/// <summary><c>modelserve key new</c>: draws an API key, and prints it once beside the line for the key file.</summary>
internal sealed class KeyCommand : Command
{
    /// <summary>Declares options and action.</summary>
    public KeyCommand()
        : base("key", "API keys")
    {
        Option<string> id = new("--id") { Description = "name of the key: 1 to 64 letters, digits, dots, underscores or dashes", Required = true };
        Option<bool> admin = new("--admin") { Description = "open an operator's methods to it" };
        Command draw = new("new", "Draw a key: the key on standard error, the line for the key file on standard output") { id, admin };
        draw.SetAction(async (parsed, _) =>
        {
            NewApiKey key = NewApiKey.Draw(parsed.GetValue(id)!, parsed.GetValue(admin));
            // The line can go straight to the file, and the key is seen by who asked and by nobody later.
            await Console.Error.WriteLineAsync("key (shown once): " + key.Text);
            await Console.Out.WriteLineAsync(key.Line);
            return 0;
        });
        Subcommands.Add(draw);
    }
}
