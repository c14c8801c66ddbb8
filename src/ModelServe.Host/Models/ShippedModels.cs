namespace ModelServe.Host.Models;

/// <summary>The two small trained checkpoints that lie beside the program.</summary>
internal static class ShippedModels
{
    /// <summary>Served and asked when no model is named.</summary>
    public const string Default = "tiny-mini";

    /// <summary>A folder as given if it exists; else the shipped checkpoint of that name; else the text unchanged, for the loader's own message.</summary>
    public static string Resolve(string directoryOrName)
    {
        if (Directory.Exists(directoryOrName))
        {
            return directoryOrName;
        }

        string shipped = Path.Combine(AppContext.BaseDirectory, "models", directoryOrName);
        return directoryOrName.IndexOfAny(['/', '\\']) < 0 && Directory.Exists(shipped) ? shipped : directoryOrName;
    }
}
