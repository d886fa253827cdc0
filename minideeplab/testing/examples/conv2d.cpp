// Judge a convolution written in C++:
//   minideeplab check export conv2d cases
//   g++ -O2 -std=c++17 conv2d.cpp -o conv2d && ./conv2d cases results
//   minideeplab check judge results
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>
using std::string;
using std::vector;

template <class T> struct Array { vector<int64_t> shape; vector<T> data; };

// Read a .npy file of T in C order: 8 bytes of magic, a header with 'shape': (2, 3), then the data.
template <class T> Array<T> read(const string& path) {
    std::ifstream file(path, std::ios::binary);
    string start(10, 0), header;
    if (!file.read(&start[0], 10)) return {};
    header.resize((unsigned char)start[8] + 256 * (unsigned char)start[9]);
    file.read(&header[0], header.size());
    Array<T> a;
    int64_t size = 1;
    size_t at = header.find('(') + 1;
    while (isdigit(header[at])) {
        size_t used;
        a.shape.push_back(std::stol(header.substr(at), &used));
        size *= a.shape.back();
        for (at += used; header[at] == ',' || header[at] == ' ';) at++;
    }
    a.data.resize(size);
    file.read((char*)a.data.data(), size * sizeof(T));
    return a;
}

template <class T> void write(const string& path, const Array<T>& a, const string& dtype) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    string header = "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (";
    for (int64_t n : a.shape) header += std::to_string(n) + ",";
    header += ")}";
    header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
    header += '\n';
    std::ofstream file(path, std::ios::binary);
    file << string("\x93NUMPY\x01\x00", 8) << char(header.size() & 255) << char(header.size() >> 8)
         << header;
    file.write((const char*)a.data.data(), a.data.size() * sizeof(T));
}

// The function under judgement; replace it by yours. pad = (top, bottom, left, right).
template <class T>
Array<T> conv2d(const Array<T>& x, const Array<T>& w, const Array<T>& b, const int64_t* stride,
                const int64_t* pad, const int64_t* dilation, int64_t groups) {
    int64_t n = x.shape[0], c = x.shape[1], h = x.shape[2], width = x.shape[3];
    int64_t f = w.shape[0], per = w.shape[1], kh = w.shape[2], kw = w.shape[3];
    int64_t p = (h + pad[0] + pad[1] - (kh - 1) * dilation[0] - 1) / stride[0] + 1;
    int64_t q = (width + pad[2] + pad[3] - (kw - 1) * dilation[1] - 1) / stride[1] + 1;
    Array<T> y{{n, f, p, q}, vector<T>(n * f * p * q)};
    for (int64_t m = 0, o = 0; m < n; m++)
        for (int64_t k = 0; k < f; k++)
            for (int64_t r = 0; r < p; r++)
                for (int64_t s = 0; s < q; s++, o++) {
                    T sum = b.data.empty() ? T(0) : b.data[k];
                    for (int64_t l = 0; l < per; l++)
                        for (int64_t i = 0; i < kh; i++)
                            for (int64_t j = 0; j < kw; j++) {
                                int64_t row = r * stride[0] + i * dilation[0] - pad[0];
                                int64_t col = s * stride[1] + j * dilation[1] - pad[2];
                                if (row < 0 || row >= h || col < 0 || col >= width) continue;
                                int64_t channel = k / (f / groups) * per + l;
                                sum += x.data[((m * c + channel) * h + row) * width + col] *
                                       w.data[((k * per + l) * kh + i) * kw + j];
                            }
                    y.data[o] = sum;
                }
    return y;
}

template <class T> void run(const string& row, const string& result, const string& dtype) {
    auto x = read<T>(row + "/input.npy");
    bool batched = x.shape.size() == 4;
    if (!batched) x.shape.insert(x.shape.begin(), 1);
    auto number = [&](string name) { return read<int64_t>(row + "/" + name + ".npy").data; };
    auto y = conv2d(x, read<T>(row + "/weight.npy"), read<T>(row + "/bias.npy"),
                    number("stride").data(), number("padding").data(), number("dilation").data(),
                    number("groups")[0]);
    if (!batched) y.shape.erase(y.shape.begin());
    write(result + "/output.npy", y, dtype);
}

int main(int count, char** arguments) {
    if (count != 3) {
        std::cerr << "usage: conv2d cases results\n";
        return 2;
    }
    string cases = arguments[1], results = arguments[2], row;
    for (std::ifstream rows(cases + "/rows.txt"); std::getline(rows, row);) {
        bool wide = row.find("float64") != string::npos;
        if (wide) run<double>(cases + "/" + row, results + "/" + row, "<f8");
        else run<float>(cases + "/" + row, results + "/" + row, "<f4");
    }
}
