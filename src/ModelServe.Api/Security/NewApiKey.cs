using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ModelServe.Api.Security;

/// <summary>A key that has just been drawn: the one moment at which its text exists on the server's side.</summary>
/// <param name="Text">What the client sends.</param>
/// <param name="Line">What the key file holds of it.</param>
public sealed record NewApiKey(string Text, string Line)
{
    private const string Prefix = "msk-";

    /// <summary>Draws a key of 256 random bits.</summary>
    /// <param name="id">Its name.</param>
    /// <param name="admin">Whether an operator's methods are open to it.</param>
    /// <exception cref="FormatException">The name has another form than a key file allows.</exception>
    public static NewApiKey Draw(string id, bool admin)
    {
        string text = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes));
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        string line = $$"""{"id":{{JsonSerializer.Serialize(id)}},"sha256":"{{hash}}"{{(admin ? ",\"admin\":true" : "")}}}""";
        try
        {
            _ = ApiKeyFile.Parse("--id", Encoding.UTF8.GetBytes(line));
        }
        catch (InvalidDataException error)
        {
            throw new FormatException(error.InnerException?.Message ?? error.Message, error);
        }

        return new NewApiKey(text, line);
    }
}
